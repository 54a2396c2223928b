// Writes safetensors files for tests: small models, and files that are wrong in one place.
//
//   SafetensorsWriter w;
//   w.tensor("model.norm.weight", {hidden}, values, DType::kBF16);
//   w.write(directory / "model.safetensors");
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/dtype.h"

namespace varve {

class SafetensorsWriter {
 public:
  /// `shape` outermost first. `type` as the format writes it: "F32", "BF16", "I64"; data in it.
  SafetensorsWriter& tensor(std::string_view name, std::vector<std::size_t> shape,
                            std::string_view type, std::span<const std::byte> data);
  /// The same from floats, in f32, f16 or bf16.
  SafetensorsWriter& tensor(std::string_view name, std::vector<std::size_t> shape,
                            std::span<const float> values, DType dtype = DType::kF32);
  /// An entry of "__metadata__".
  SafetensorsWriter& set(std::string_view key, std::string_view value);

  /// The JSON, padded with spaces so that data begins at a multiple of 8.
  std::string header() const;
  std::vector<std::byte> bytes() const;
  void write(const std::filesystem::path& path) const;

 private:
  struct Entry {
    std::string name;
    std::string type;
    std::vector<std::size_t> shape;
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  std::map<std::string, std::string> metadata_;
  std::vector<Entry> entries_;
  std::vector<std::byte> data_;
};

/// A file from parts that a test may have made wrong: 8 bytes of length, header, data.
std::vector<std::byte> safetensors_bytes(std::string_view header, std::span<const std::byte> data);

/// "model.safetensors.index.json" from tensor -> shard.
std::string safetensors_index(const std::map<std::string, std::string>& weight_map);

}  // namespace varve
