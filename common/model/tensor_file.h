// A set of named tensors in files on disk: GGUF, or one or more safetensors. Opening reads and
// checks the index only; tensor bytes are mapped and touched when somebody reads them, so a rank
// pays for its own layers alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/tensor.h"

namespace varve {

struct TensorEntry {
  std::string name;  // as in the file
  DType dtype = DType::kF32;
  std::vector<std::size_t> shape;  // outermost first, as in PyTorch: a linear weight is [N, K]
  const void* data =
      nullptr;  // into the mapping; alignment is not promised beyond 1 for safetensors
  std::size_t bytes = 0;
};

/// Immutable and thread-safe. Views stay valid as long as the TensorFile lives.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual const std::vector<TensorEntry>& tensors() const = 0;
  /// nullptr if there is none of that name.
  virtual const TensorEntry* find(std::string_view name) const = 0;
  /// Gives back the memory that holds the pages of a tensor, for one who has copied it and is done.
  /// A hint: whoever reads the tensor again gets its bytes from the file again.
  virtual void release(const TensorEntry& tensor) const = 0;
  /// IoError if the file that holds a tensor was truncated or written to since it was opened, so
  /// that its bytes are gone or not those that were checked.
  virtual void check_unchanged(const TensorEntry& tensor) const = 0;
  /// For error messages: the file (or directory) and, where sharded, the shard of `name`.
  virtual std::string describe(std::string_view name) const = 0;
};

}  // namespace varve
