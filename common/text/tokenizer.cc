#include "common/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/text/added_tokens.h"
#include "common/text/bpe.h"
#include "common/text/byte_alphabet.h"
#include "common/text/normalizer.h"
#include "common/text/pre_tokenizer.h"
#include "common/text/vocabulary.h"
#include "common/utf8.h"

namespace varve {
namespace {

constexpr std::array<std::string_view, 9> kStopNames = {
    "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>",  "</s>",
    "<|eom_id|>", "<|eos|>",    "<|end|>",         "<|end_of_turn|>"};

void check_id(const TokenizerSpec& spec, std::optional<TokenId> id, const char* what) {
  if (!id || (*id >= 0 && static_cast<std::size_t>(*id) < spec.tokens.size())) return;
  throw IoError(fmt::format("{}: the {} token is {}; an id below {} would be right", spec.source,
                            what, *id, spec.tokens.size()));
}

void check_ids(const TokenizerSpec& spec) {
  check_id(spec, spec.bos, "beginning-of-sequence");
  check_id(spec, spec.eos, "end-of-sequence");
  check_id(spec, spec.unknown, "unknown");
  for (const TokenId id : spec.stops) check_id(spec, id, "end-of-turn");
  for (const TokenId id : spec.not_mergeable) check_id(spec, id, "control");
  for (const AddedToken& token : spec.added) check_id(spec, token.id, "added");
  for (const Merge& merge : spec.merges) {
    for (const TokenId id : {merge.left, merge.right, merge.result}) check_id(spec, id, "merged");
  }
  if (spec.add_bos && !spec.bos) {
    throw IoError(
        spec.source +
        ": asks for a beginning-of-sequence token at the start of a text, but names none");
  }
}

// A merge must not yield a token that only a marker may: text would become control.
void drop_forbidden_merges(TokenizerSpec& spec) {
  std::vector<bool> forbidden(spec.tokens.size());
  for (const TokenId id : spec.not_mergeable) forbidden[static_cast<std::size_t>(id)] = true;
  for (const AddedToken& token : spec.added) {
    if (token.special) forbidden[static_cast<std::size_t>(token.id)] = true;
  }
  std::erase_if(spec.merges, [&](const Merge& merge) {
    return forbidden[static_cast<std::size_t>(merge.result)];
  });
}

TokenizerSpec prepared(TokenizerSpec spec) {
  check_ids(spec);
  drop_forbidden_merges(spec);
  return spec;
}

std::vector<AddedToken> normalized(std::vector<AddedToken> added, const Normalizer& normalizer,
                                   const std::string& source) {
  for (AddedToken& token : added) {
    if (token.normalized) token.text = normalizer.apply(token.text, false);
    if (token.text.empty()) {
      throw IoError(fmt::format("{}: the added token {} is empty", source, token.id));
    }
  }
  return added;
}

std::string with_spaces(std::string_view text) {
  constexpr std::string_view kMetaspace = "\xE2\x96\x81";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(kMetaspace)) {
      out += ' ';
      at += kMetaspace.size();
    } else {
      out += text[at++];
    }
  }
  return out;
}

// The byte of "<0x0A>", or nothing.
std::optional<char> byte_of_token(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const std::size_t high = kDigits.find(text[3]);
  const std::size_t low = kDigits.find(text[4]);
  if (high == kDigits.npos || low == kDigits.npos) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

std::string decoded_token(const TokenizerSpec& spec, const std::string& text) {
  if (spec.byte_level) return bytes_of_token(text);
  if (spec.byte_fallback) {
    if (const auto byte = byte_of_token(text)) return std::string(1, *byte);
  }
  return with_spaces(text);
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(TokenizerSpec given)
      : spec(prepared(std::move(given))),
        vocabulary(std::move(spec.tokens), spec.source),
        normalizer(spec.normalizer, spec.source + ": normalizer"),
        pre_tokenizer(spec.pre_tokenizer, spec.source + ": pre_tokenizer"),
        bpe(spec, vocabulary),
        added_tokens(normalized(spec.added, normalizer, spec.source)),
        added(added_tokens, false),
        added_normalized(added_tokens, true) {
    spec.merges = {};
    find_special_tokens();
    find_stops();
    find_bytes();
  }

  void find_special_tokens() {
    special = std::vector<bool>(vocabulary.size(), false);
    for (const AddedToken& token : spec.added) {
      if (token.special) special[static_cast<std::size_t>(token.id)] = true;
    }
    for (const TokenId id : spec.not_mergeable) {
      const auto index = static_cast<std::size_t>(id);
      special[index] = !(spec.byte_fallback && byte_of_token(vocabulary.text(id)));
    }
  }

  void find_stops() {
    stops = spec.stops;
    if (spec.eos) stops.push_back(*spec.eos);
    for (const std::string_view name : kStopNames) {
      const auto id = vocabulary.find(name);
      if (id && special[static_cast<std::size_t>(*id)]) stops.push_back(*id);
    }
    std::sort(stops.begin(), stops.end());
    stops.erase(std::unique(stops.begin(), stops.end()), stops.end());
  }

  void find_bytes() {
    for (std::size_t id = 0; id < vocabulary.size(); ++id) {
      bytes.push_back(decoded_token(spec, vocabulary.text(static_cast<TokenId>(id))));
    }
    for (const AddedToken& token : spec.added) {
      bytes[static_cast<std::size_t>(token.id)] = vocabulary.text(token.id);
    }
  }

  TokenizerSpec spec;  // without tokens and merges, which are in the members below
  Vocabulary vocabulary;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  std::vector<AddedToken> added_tokens;
  AddedTokens added;
  AddedTokens added_normalized;
  std::vector<std::string> bytes;  // per id, what it decodes to
  std::vector<bool> special;       // per id
  std::vector<TokenId> stops;
};

namespace {

// One call of encode: texts go through added tokens, normalizer, added tokens that are normalized,
// pre-tokenizer and merges.
class Encoding {
 public:
  template <class Impl>
  Encoding(const Impl& impl, const EncodeOptions& options)
      : added_(impl.added),
        added_normalized_(impl.added_normalized),
        normalizer_(impl.normalizer),
        pre_tokenizer_(impl.pre_tokenizer),
        session_(impl.bpe),
        place_{!options.continues, options.continues} {}

  void text(std::string_view text, bool parse_special) {
    std::string repaired;
    if (!is_valid_utf8(text)) text = repaired = replace_invalid_utf8(text);
    added_.split(text, parse_special, [&](std::string_view part, std::optional<TokenId> id) {
      id ? token(*id) : normalize(part, parse_special);
    });
  }

  void token(TokenId id) {
    ids_.push_back(id);
    place_ = {false, false};
  }

  std::vector<TokenId> take() { return std::move(ids_); }

 private:
  void normalize(std::string_view text, bool parse_special) {
    std::string changed;
    if (!normalizer_.empty()) text = changed = normalizer_.apply(text, place_.continues);
    added_normalized_.split(
        text, parse_special,
        [&](std::string_view part, std::optional<TokenId> id) { id ? token(*id) : words(part); });
  }

  void words(std::string_view text) {
    pre_tokenizer_.split(text, place_, [&](std::string_view word) { session_.encode(word, ids_); });
    place_ = {false, false};
  }

  const AddedTokens& added_;
  const AddedTokens& added_normalized_;
  const Normalizer& normalizer_;
  const PreTokenizer& pre_tokenizer_;
  Bpe::Session session_;
  TextPlace place_;
  std::vector<TokenId> ids_;
};

}  // namespace

Tokenizer::Tokenizer(TokenizerSpec spec) : impl_(std::make_unique<const Impl>(std::move(spec))) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  Encoding encoding(*impl_, options);
  encoding.text(text, options.parse_special);
  return with_bos(encoding.take(), options);
}

std::vector<TokenId> Tokenizer::encode(std::span<const Piece> pieces,
                                       const EncodeOptions& options) const {
  Encoding encoding(*impl_, options);
  std::string plain;
  const auto flush = [&] {
    encoding.text(plain, false);
    plain.clear();
  };
  for (const Piece& piece : pieces) {
    const auto id = piece.special ? find_special(piece.text) : std::nullopt;
    if (!id) {
      plain += piece.text;
      continue;
    }
    flush();
    encoding.token(*id);
  }
  flush();
  return with_bos(encoding.take(), options);
}

std::vector<TokenId> Tokenizer::with_bos(std::vector<TokenId> ids,
                                         const EncodeOptions& options) const {
  const bool wanted = options.add_bos.value_or(adds_bos()) && !options.continues;
  if (!wanted || (!ids.empty() && bos() && ids.front() == *bos())) return ids;
  VARVE_CHECK(bos(), "{} has no beginning-of-sequence token", source());
  std::vector<TokenId> with(1, *bos());
  with.insert(with.end(), ids.begin(), ids.end());
  return with;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool keep_special) const {
  IncrementalDecoder decoder(*this, keep_special);
  std::string text;
  for (const TokenId id : ids) text += decoder.add(id);
  return text + decoder.flush();
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  VARVE_CHECK(id >= 0, "token id {}", id);
  const auto index = static_cast<std::size_t>(id);
  return index < size() ? std::string_view(impl_->bytes[index]) : std::string_view();
}

bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && static_cast<std::size_t>(id) < size() &&
         impl_->special[static_cast<std::size_t>(id)];
}

std::optional<TokenId> Tokenizer::find_special(std::string_view text) const {
  const auto id = impl_->vocabulary.find(text);
  return id && is_special(*id) ? id : std::nullopt;
}

std::size_t Tokenizer::size() const {
  return impl_->vocabulary.size();
}
std::optional<TokenId> Tokenizer::bos() const {
  return impl_->spec.bos;
}
std::optional<TokenId> Tokenizer::eos() const {
  return impl_->spec.eos;
}
bool Tokenizer::adds_bos() const {
  return impl_->spec.add_bos;
}
bool Tokenizer::strips_leading_space() const {
  return impl_->spec.strip_leading_space;
}
const std::vector<TokenId>& Tokenizer::stops() const {
  return impl_->stops;
}
const std::string& Tokenizer::chat_template() const {
  return impl_->spec.chat_template;
}
const std::string& Tokenizer::source() const {
  return impl_->spec.source;
}

bool Tokenizer::is_stop(TokenId id) const {
  return std::binary_search(stops().begin(), stops().end(), id);
}

std::string IncrementalDecoder::add(TokenId id) {
  if (tokenizer_->is_special(id) && !keep_special_) return {};
  std::string_view bytes = tokenizer_->token_bytes(id);
  if (!begun_ && !bytes.empty()) {
    begun_ = true;
    if (tokenizer_->strips_leading_space() && bytes.front() == ' ') bytes.remove_prefix(1);
  }
  pending_ += bytes;
  std::string text;
  std::size_t at = 0;
  while (at < pending_.size()) {
    const CodePoint point = decode_utf8(pending_, at);
    if (point.truncated) break;
    append_utf8(text, point.value);
    at += point.length;
  }
  pending_.erase(0, at);
  return text;
}

std::string IncrementalDecoder::flush() {
  begun_ = false;
  return replace_invalid_utf8(std::exchange(pending_, {}));
}

}  // namespace varve
