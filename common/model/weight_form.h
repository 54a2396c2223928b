// What a backend holds a model's tensors in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/model/tensor_file.h"

namespace varve {

enum class WeightForm : std::uint8_t {
  kStored,  // as the file has them
  kBF16,    // matrices in bfloat16, vectors in float32
  kF32,
};

/// Bytes of one tensor in that form.
std::size_t bytes_in(WeightForm form, const TensorEntry& entry);

}  // namespace varve
