// Byte-pair encoding of one word: symbols (bytes or characters) are merged pair by pair, the lowest
// rank first and among equals the leftmost, until no pair merges (Sennrich et al. 2016). Takes
// O(n log n) for n symbols, by a linked list and a heap of candidate pairs.
#pragma once

#include <array>
#include <bitset>
#include <functional>
#include <string_view>
#include <vector>

#include "common/text/merge_table.h"
#include "common/text/string_map.h"
#include "common/text/tokenizer_spec.h"
#include "common/text/vocabulary.h"

namespace varve {

/// Immutable and thread-safe; keeps a reference to the vocabulary.
class Bpe {
 public:
  Bpe(const TokenizerSpec& spec, const Vocabulary& vocabulary);

  /// Encodes words one after the other; remembers what short words became. One thread at a time.
  class Session {
   public:
    explicit Session(const Bpe& bpe) : bpe_(bpe) {}
    /// Appends the ids of `word` (valid UTF-8) to `out`.
    void encode(std::string_view word, std::vector<TokenId>& out);

   private:
    struct Symbol {
      TokenId id = 0;  // -1: merged into the one before it
      std::uint32_t previous = 0;
      std::uint32_t next = 0;
    };
    struct Candidate {
      std::uint32_t rank = 0;
      std::uint32_t left = 0;  // index of a symbol
      TokenId result = 0;
    };
    struct Memory {
      std::size_t begin = 0;  // in remembered_
      std::size_t count = 0;
    };

    void encode_segment(std::string_view segment, std::vector<TokenId>& out);
    void merge_all();
    void push_candidate(std::uint32_t left);

    const Bpe& bpe_;
    std::vector<TokenId> first_;  // ids before merging
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
    StringMap<Memory> memory_;
    std::vector<TokenId> remembered_;
  };

 private:
  void append_byte_symbols(std::string_view word, std::vector<TokenId>& out) const;
  void append_character_symbols(std::string_view word, std::vector<TokenId>& out) const;
  std::optional<TokenId> whole_token(std::string_view word) const;
  std::size_t segment_length(std::string_view word) const;
  void find_joined_bytes(const std::vector<Merge>& merges);

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  bool byte_level_;
  bool ignore_merges_;
  bool fuse_unknown_;
  std::optional<TokenId> unknown_;
  std::array<TokenId, 256> byte_ids_{};  // of a byte's token, byte-level or <0xXX>; -1: none
  std::vector<bool> mergeable_;
  // A character-level word may be cut before each U+2581, merges included, unless the byte before
  // it stands before a U+2581 in some token.
  bool can_cut_ = false;
  std::bitset<256> joined_;
};

}  // namespace varve
