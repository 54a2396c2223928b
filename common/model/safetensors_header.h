// The header of one safetensors file (https://github.com/huggingface/safetensors, "Format"): 8
// bytes of length, then JSON {name: {dtype, shape, data_offsets}}, then the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/dtype.h"

namespace varve {

struct SafetensorsEntry {
  std::string name;
  std::string type;            // as written: "BF16"
  std::optional<DType> dtype;  // if varve computes with it
  std::vector<std::size_t> shape;
  std::span<const std::byte> data;
};

/// Reads and checks the header of a whole file. As the format demands, the tensors cover the data
/// without gaps or overlaps, and each is as long as its shape and type say. IoError: path, tensor,
/// what is wrong, what would be right.
std::vector<SafetensorsEntry> read_safetensors_header(std::span<const std::byte> file,
                                                      const std::string& path);

}  // namespace varve
