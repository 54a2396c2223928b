// Which pairs of tokens merge into which: the inner loop of byte-pair encoding asks for each pair
// it makes, so this is an open-addressing hash table in one array.
#pragma once

#include <cstdint>
#include <vector>

#include "common/text/tokenizer_spec.h"

namespace varve {

class MergeTable {
 public:
  /// No two merges have the same pair.
  explicit MergeTable(const std::vector<Merge>& merges);

  struct Target {
    std::uint32_t rank = 0;
    TokenId result = -1;  // -1: the pair does not merge
  };
  Target find(TokenId left, TokenId right) const;

 private:
  struct Slot {
    TokenId left = -1;
    TokenId right = -1;
    Target target;
  };
  std::size_t slot_of(TokenId left, TokenId right) const;

  std::vector<Slot> slots_;  // a power of two, at most half of them taken
};

}  // namespace varve
