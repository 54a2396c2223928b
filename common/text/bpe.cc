#include "common/text/bpe.h"

#include <algorithm>

#include "common/error.h"
#include "common/text/byte_alphabet.h"
#include "common/utf8.h"

namespace varve {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";
constexpr std::uint32_t kNone = UINT32_MAX;
constexpr std::size_t kLongestRememberedWord = 64;  // bytes
constexpr std::size_t kMostRememberedWords = 1 << 16;

std::uint8_t as_byte(char c) {
  return static_cast<std::uint8_t>(c);
}

// min-heap by (rank, position): std::*_heap want the order of the opposite.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
};

}  // namespace

Bpe::Bpe(const TokenizerSpec& spec, const Vocabulary& vocabulary)
    : vocabulary_(vocabulary),
      merges_(spec.merges),
      byte_level_(spec.byte_level),
      ignore_merges_(spec.ignore_merges),
      fuse_unknown_(spec.fuse_unknown),
      unknown_(spec.unknown),
      mergeable_(vocabulary.size(), true) {
  for (const TokenId id : spec.not_mergeable) mergeable_[static_cast<std::size_t>(id)] = false;
  for (const AddedToken& token : spec.added) mergeable_[static_cast<std::size_t>(token.id)] = false;
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::optional<TokenId> id;
    if (spec.byte_level) {
      id = vocabulary.find(spell_bytes(std::string(1, static_cast<char>(byte))));
    } else if (spec.byte_fallback) {
      id = vocabulary.find(fmt::format("<0x{:02X}>", byte));
    }
    byte_ids_[byte] = id.value_or(-1);
  }
  if (!byte_level_) find_joined_bytes(spec.merges);
}

void Bpe::find_joined_bytes(const std::vector<Merge>& merges) {
  can_cut_ = vocabulary_.find(kMetaspace).has_value() && !ignore_merges_;
  for (const Merge& merge : merges) {
    const std::string_view text = vocabulary_.text(merge.result);
    for (std::size_t at = text.find(kMetaspace, 1); at != text.npos;
         at = text.find(kMetaspace, at + 1)) {
      joined_.set(as_byte(text[at - 1]));
    }
  }
}

// Bytes of the longest beginning of `word` that merges independently of the rest.
std::size_t Bpe::segment_length(std::string_view word) const {
  if (!can_cut_) return word.size();
  std::size_t at = word.find(kMetaspace, 1);
  while (at != word.npos && joined_.test(as_byte(word[at - 1]))) at = word.find(kMetaspace, at + 1);
  return std::min(at, word.size());
}

std::optional<TokenId> Bpe::whole_token(std::string_view word) const {
  const auto id = byte_level_ ? vocabulary_.find(spell_bytes(word)) : vocabulary_.find(word);
  if (id && !mergeable_[static_cast<std::size_t>(*id)]) return std::nullopt;
  return id;
}

// A byte without a token is dropped, unless there is an unknown token.
void Bpe::append_byte_symbols(std::string_view word, std::vector<TokenId>& out) const {
  bool after_unknown = false;
  for (std::size_t at = 0; at < word.size(); ++at) {
    const TokenId id = byte_ids_[as_byte(word[at])];
    if (id >= 0) {
      out.push_back(id);
    } else if (unknown_ && !(after_unknown && fuse_unknown_)) {
      out.push_back(*unknown_);
    }
    after_unknown = id < 0;
  }
}

void Bpe::append_character_symbols(std::string_view word, std::vector<TokenId>& out) const {
  bool after_unknown = false;
  for (std::size_t at = 0; at < word.size();) {
    const std::string_view character = word.substr(at, decode_utf8(word, at).length);
    at += character.size();
    auto id = vocabulary_.find(character);
    if (id && !mergeable_[static_cast<std::size_t>(*id)]) id.reset();
    const bool by_bytes = !id && std::all_of(character.begin(), character.end(),
                                             [&](char c) { return byte_ids_[as_byte(c)] >= 0; });
    if (id) {
      out.push_back(*id);
    } else if (by_bytes) {
      for (const char c : character) out.push_back(byte_ids_[as_byte(c)]);
    } else if (unknown_ && !(after_unknown && fuse_unknown_)) {
      out.push_back(*unknown_);
    }
    after_unknown = !id && !by_bytes;
  }
}

void Bpe::Session::encode(std::string_view word, std::vector<TokenId>& out) {
  while (!word.empty()) {
    const std::string_view segment = word.substr(0, bpe_.segment_length(word));
    word.remove_prefix(segment.size());
    if (segment.size() > kLongestRememberedWord) {
      encode_segment(segment, out);
      continue;
    }
    auto known = memory_.find(segment);
    if (known == memory_.end()) {
      if (memory_.size() == kMostRememberedWords) {
        memory_.clear();
        remembered_.clear();
      }
      const std::size_t begin = remembered_.size();
      encode_segment(segment, remembered_);
      known = memory_.emplace(segment, Memory{begin, remembered_.size() - begin}).first;
    }
    const auto begin = remembered_.begin() + static_cast<std::ptrdiff_t>(known->second.begin);
    out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(known->second.count));
  }
}

void Bpe::Session::encode_segment(std::string_view segment, std::vector<TokenId>& out) {
  if (bpe_.ignore_merges_) {
    if (const auto id = bpe_.whole_token(segment)) return out.push_back(*id);
  }
  first_.clear();
  if (bpe_.byte_level_) {
    bpe_.append_byte_symbols(segment, first_);
  } else {
    bpe_.append_character_symbols(segment, first_);
  }
  symbols_.clear();
  for (std::uint32_t i = 0; i < first_.size(); ++i) {
    symbols_.push_back({first_[i], i == 0 ? kNone : i - 1, i + 1 == first_.size() ? kNone : i + 1});
  }
  merge_all();
  for (const Symbol& symbol : symbols_) {
    if (symbol.id >= 0) out.push_back(symbol.id);
  }
}

void Bpe::Session::push_candidate(std::uint32_t left) {
  if (left == kNone || symbols_[left].next == kNone) return;
  const auto target = bpe_.merges_.find(symbols_[left].id, symbols_[symbols_[left].next].id);
  if (target.result < 0) return;
  heap_.push_back({target.rank, left, target.result});
  std::push_heap(heap_.begin(), heap_.end(), kLater);
}

// A candidate goes stale when one of its symbols has merged with another; it is noticed when its
// turn comes.
void Bpe::Session::merge_all() {
  heap_.clear();
  for (std::uint32_t i = 0; i < symbols_.size(); ++i) push_candidate(i);
  while (!heap_.empty()) {
    const Candidate best = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    heap_.pop_back();
    Symbol& left = symbols_[best.left];
    if (left.id < 0 || left.next == kNone) continue;
    Symbol& right = symbols_[left.next];
    if (bpe_.merges_.find(left.id, right.id).result != best.result) continue;
    left.id = best.result;
    left.next = right.next;
    right.id = -1;
    if (left.next != kNone) symbols_[left.next].previous = best.left;
    push_candidate(left.previous);
    push_candidate(best.left);
  }
}

}  // namespace varve
