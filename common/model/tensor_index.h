// Tensors by name, and the checks that every format needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/model/tensor_file.h"

namespace varve {

/// Entries in file order. Names are unique: the reader has seen to it.
class TensorIndex {
 public:
  TensorIndex() = default;
  explicit TensorIndex(std::vector<TensorEntry> entries);
  TensorIndex(const TensorIndex&) = delete;  // by_name_ points into entries_
  TensorIndex& operator=(const TensorIndex&) = delete;
  TensorIndex(TensorIndex&&) = default;
  TensorIndex& operator=(TensorIndex&&) = default;

  const std::vector<TensorEntry>& entries() const { return entries_; }
  /// nullptr if there is none of that name.
  const TensorEntry* find(std::string_view name) const;

 private:
  std::vector<TensorEntry> entries_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
};

/// Where a tensor's bytes lie, relative to the start of the data.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::size_t tensor = 0;  // its number in the file
};

/// Sorts by place (empty extents first among equals) and returns the first two neighbours that
/// share a byte.
struct Overlap {
  Extent first;
  Extent second;
};
std::optional<Overlap> sort_and_find_overlap(std::vector<Extent>& extents);

/// The product of the dimensions (1 if there are none), or nothing if it does not fit 64 bits.
std::optional<std::uint64_t> checked_product(std::span<const std::uint64_t> factors);

}  // namespace varve
