// Golden data: safetensors files of F32, I32 and U8 tensors that tests/golden's scripts wrote. Read
// here without the product's own readers, so that a fault of theirs cannot hide itself.
//
//   const Golden golden = Golden::load(golden_folder() / "smollm2/bible.safetensors");
//   golden.i32("tokens");   // span of 4096
//   golden.shape("hidden"); // {512, 576}
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace varve {

/// tests/golden of the source tree.
std::filesystem::path golden_folder();

/// A whole file in memory; the spans live as long as it does. Every failure is an IoError that
/// starts with the path.
class Golden {
 public:
  static Golden load(const std::filesystem::path& path);

  Golden(Golden&&) = default;
  Golden& operator=(Golden&&) = default;

  bool has(std::string_view name) const { return tensors_.contains(name); }
  /// Elements in row-major order. IoError if there is no such tensor (lists those there are) or it
  /// has another type.
  std::span<const float> f32(std::string_view name) const { return elements<float>(name, "F32"); }
  std::span<const std::int32_t> i32(std::string_view name) const {
    return elements<std::int32_t>(name, "I32");
  }
  std::span<const std::uint8_t> u8(std::string_view name) const {
    return elements<std::uint8_t>(name, "U8");
  }
  /// Outermost dimension first.
  const std::vector<std::size_t>& shape(std::string_view name) const { return find(name).shape; }

 private:
  struct Tensor {
    std::string type;
    std::vector<std::size_t> shape;
    std::size_t begin = 0;  // in data_, a multiple of the element's size
    std::size_t count = 0;
  };

  explicit Golden(std::string path) : path_(std::move(path)) {}
  void read_header(std::string_view json);
  const Tensor& find(std::string_view name) const;
  const std::byte* typed(const Tensor& tensor, std::string_view name, std::string_view type) const;

  template <class T>
  std::span<const T> elements(std::string_view name, std::string_view type) const {
    const Tensor& tensor = find(name);
    return {reinterpret_cast<const T*>(typed(tensor, name, type)), tensor.count};
  }

  std::string path_;
  std::vector<std::byte> data_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace varve
