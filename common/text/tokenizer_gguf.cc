#include "common/text/tokenizer_gguf.h"

#include <array>
#include <cmath>
#include <vector>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/text/vocabulary.h"

namespace varve {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kMerges = "tokenizer.ggml.merges";
constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";

// As numbered in the file.
enum class TokenType : std::int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// What tokenizer.ggml.pre stands for; the patterns are those of the models' own tokenizer.json.
struct PreRow {
  std::string_view name;
  std::string_view pattern;  // of a split before bytes; empty: GPT-2's own
  bool digits = false;       // are split off one by one
  bool nfc = false;
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::array<PreRow, 7> kPreRows = {{
    {"gpt-2", "", false, false, false, false},
    {"smollm", "", true, false, false, false},
    {"llama-bpe", kLlama3Pattern, false, false, true, true},
    {"llama3", kLlama3Pattern, false, false, true, true},
    {"llama-v3", kLlama3Pattern, false, false, true, true},
    {"qwen2", kQwen2Pattern, false, true, false, false},
    {"deepseek-r1-qwen", kQwen2Pattern, false, true, false, false},
}};

std::string known_pre_names() {
  std::string names;
  for (const PreRow& row : kPreRows) (names += names.empty() ? "" : ", ") += row.name;
  return names;
}

class GgufTokenizer {
 public:
  explicit GgufTokenizer(const GgufMetadata& metadata) : metadata_(metadata) {}

  TokenizerSpec read() {
    spec_.source = metadata_.path();
    read_tokens();
    read_types();
    read_named_tokens();
    const auto model = metadata_.get_string(kModel);
    if (!model) fail(kModel, R"(is missing; "gpt2" or "llama" would be right)");
    if (*model == "gpt2") {
      read_byte_level();
    } else if (*model == "llama") {
      read_sentencepiece();
    } else {
      fail(kModel, fmt::format("is {}; varve has \"gpt2\" (byte-level BPE) and \"llama\" "
                               "(SentencePiece BPE)",
                               in_quotes(*model)));
    }
    spec_.chat_template = metadata_.get_string("tokenizer.chat_template").value_or("");
    return std::move(spec_);
  }

 private:
  [[noreturn]] void fail(std::string_view key, std::string_view what) const {
    throw IoError(fmt::format("{}: {} {}", metadata_.path(), key, what));
  }

  void expect_one_per_token(std::string_view key, std::size_t count) const {
    if (count == spec_.tokens.size()) return;
    fail(key, fmt::format("has {} values for {} tokens", count, spec_.tokens.size()));
  }

  void read_tokens() {
    const auto tokens = metadata_.get_strings(kTokens);
    if (!tokens || tokens->empty()) fail(kTokens, "is missing: the file has no tokenizer");
    for (std::size_t id = 0; id < tokens->size(); ++id) {
      // A vocabulary may hold an empty text for an id that nothing uses.
      spec_.tokens.emplace_back((*tokens)[id].empty() ? fmt::format("<empty {}>", id)
                                                      : std::string((*tokens)[id]));
    }
  }

  void read_types() {
    const auto types = metadata_.get_i64s(kTypes);
    if (!types) return;
    expect_one_per_token(kTypes, types->size());
    for (std::size_t i = 0; i < types->size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      const auto type = static_cast<TokenType>((*types)[i]);
      if (type < TokenType::kNormal || type > TokenType::kByte) {
        fail(kTypes, fmt::format("of token {} is {}; 1 to 6 would be right", i, (*types)[i]));
      }
      if (type == TokenType::kNormal) continue;
      if (type != TokenType::kUserDefined) spec_.not_mergeable.push_back(id);
      const bool special = type == TokenType::kControl || type == TokenType::kUnknown;
      if (!special && type != TokenType::kUserDefined) continue;
      spec_.added.push_back({id, spec_.tokens[i], special, false, false, false, false});
    }
  }

  std::optional<TokenId> read_id(const char* key) const {
    const auto id = metadata_.get_u64(key);
    if (!id) return std::nullopt;
    if (*id >= spec_.tokens.size()) {
      fail(key, fmt::format("is {}; an id below {} would be right", *id, spec_.tokens.size()));
    }
    return static_cast<TokenId>(*id);
  }

  void read_named_tokens() {
    spec_.bos = read_id("tokenizer.ggml.bos_token_id");
    spec_.eos = read_id("tokenizer.ggml.eos_token_id");
    for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
      if (const auto id = read_id(key)) spec_.stops.push_back(*id);
    }
  }

  bool flag(const char* key, bool absent) const { return metadata_.get_bool(key).value_or(absent); }

  const PreRow& read_pre() const {
    const auto name = metadata_.get_string(kPre);
    if (!name) fail(kPre, "is missing; one of " + known_pre_names() + " would be right");
    for (const PreRow& row : kPreRows) {
      if (row.name == *name) return row;
    }
    fail(kPre, fmt::format("is {}; varve has {}", in_quotes(*name), known_pre_names()));
  }

  void read_byte_level() {
    const PreRow& pre = read_pre();
    spec_.byte_level = true;
    spec_.ignore_merges = pre.ignore_merges;
    spec_.add_bos = spec_.bos && flag("tokenizer.ggml.add_bos_token", pre.add_bos);
    if (pre.nfc) spec_.normalizer.emplace_back(NfcStep{});
    if (pre.digits) spec_.pre_tokenizer.emplace_back(DigitsStep{true});
    if (!pre.pattern.empty()) {
      spec_.pre_tokenizer.emplace_back(SplitStep{{std::string(pre.pattern), true}});
    }
    spec_.pre_tokenizer.emplace_back(ByteLevelStep{false, pre.pattern.empty()});
    read_merges();
  }

  void read_merges() {
    const auto merges = metadata_.get_strings(kMerges);
    if (!merges) fail(kMerges, "is missing");
    const std::string where = fmt::format("{}: {}", metadata_.path(), kMerges);
    std::vector<std::pair<std::string_view, std::string_view>> pairs;
    for (std::size_t i = 0; i < merges->size(); ++i) {
      pairs.push_back(split_merge((*merges)[i], i, where));
    }
    spec_.merges = resolve_merges(pairs, Vocabulary(spec_.tokens, spec_.source), where);
  }

  void read_sentencepiece() {
    spec_.byte_fallback = true;
    spec_.fuse_unknown = true;
    spec_.unknown = read_id("tokenizer.ggml.unknown_token_id");
    spec_.add_bos = spec_.bos && flag("tokenizer.ggml.add_bos_token", true);
    spec_.strip_leading_space = flag("tokenizer.ggml.add_space_prefix", true);
    if (spec_.strip_leading_space) spec_.normalizer.emplace_back(PrependStep{"\xE2\x96\x81"});
    spec_.normalizer.emplace_back(ReplaceStep{{" ", false}, "\xE2\x96\x81"});
    const auto scores = metadata_.get_f32s(kScores);
    if (!scores) fail(kScores, "is missing");
    expect_one_per_token(kScores, scores->size());
    for (std::size_t i = 0; i < scores->size(); ++i) {
      if (!std::isfinite((*scores)[i])) fail(kScores, fmt::format("of token {} is not finite", i));
    }
    std::vector<bool> mergeable(spec_.tokens.size(), true);
    for (const TokenId id : spec_.not_mergeable) mergeable[static_cast<std::size_t>(id)] = false;
    spec_.merges = merges_from_scores(Vocabulary(spec_.tokens, spec_.source), *scores, mergeable);
  }

  const GgufMetadata& metadata_;
  TokenizerSpec spec_;
};

}  // namespace

TokenizerSpec read_gguf_tokenizer(const GgufMetadata& metadata) {
  return GgufTokenizer(metadata).read();
}

}  // namespace varve
