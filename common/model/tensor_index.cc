#include "common/model/tensor_index.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace varve {

TensorIndex::TensorIndex(std::vector<TensorEntry> entries) : entries_(std::move(entries)) {
  by_name_.reserve(entries_.size());
  for (std::size_t i = 0; i < entries_.size(); ++i) by_name_.emplace(entries_[i].name, i);
}

const TensorEntry* TensorIndex::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::optional<Overlap> sort_and_find_overlap(std::vector<Extent>& extents) {
  std::ranges::sort(extents, {}, [](const Extent& e) { return std::tie(e.begin, e.end); });
  const auto shared = std::ranges::adjacent_find(
      extents, [](const Extent& a, const Extent& b) { return b.begin < a.end; });
  if (shared == extents.end()) return std::nullopt;
  return Overlap{*shared, *std::next(shared)};
}

std::optional<std::uint64_t> checked_product(std::span<const std::uint64_t> factors) {
  std::uint64_t product = 1;
  for (const std::uint64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return std::nullopt;
  }
  return product;
}

}  // namespace varve
