#include "common/text/merge_table.h"

#include <bit>

#include "common/error.h"

namespace varve {

MergeTable::MergeTable(const std::vector<Merge>& merges)
    : slots_(std::bit_ceil(2 * merges.size() + 2)) {
  for (const Merge& merge : merges) {
    Slot& slot = slots_[slot_of(merge.left, merge.right)];
    VARVE_CHECK(slot.target.result < 0, "the pair {} {} merges twice", merge.left, merge.right);
    slot = {merge.left, merge.right, {merge.rank, merge.result}};
  }
}

// The slot of the pair, or the free one where it would go.
std::size_t MergeTable::slot_of(TokenId left, TokenId right) const {
  const std::uint64_t pair =
      (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  // Fibonacci hashing: the high bits of the product depend on all bits of the pair.
  std::size_t at = (pair * 0x9E3779B97F4A7C15u) >> 20 & (slots_.size() - 1);
  while (slots_[at].target.result >= 0 && (slots_[at].left != left || slots_[at].right != right)) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

MergeTable::Target MergeTable::find(TokenId left, TokenId right) const {
  return slots_[slot_of(left, right)].target;
}

}  // namespace varve
