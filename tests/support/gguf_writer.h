// Writes GGUF files for tests: small models, and files that are wrong in one place.
//
//   GgufWriter w;
//   w.set("general.architecture", "llama").set("llama.block_count", 2U);
//   w.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
//   w.tensor("token_embd.weight", {vocab, hidden}, values);                    // f32
//   w.tensor("blk.0.attn_q.weight", {n, k}, DType::kQ4_1, random_blocks(DType::kQ4_1, n * k, 7));
//   w.write(path);
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/dtype.h"

namespace varve {

/// Bytes that grow at the end, little-endian.
class ByteBuffer {
 public:
  template <class T>
  requires std::integral<T> || std::floating_point<T> ByteBuffer& put(T value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), begin, begin + sizeof(T));
    return *this;
  }
  /// A 64-bit length, then the characters.
  ByteBuffer& put_string(std::string_view text);
  ByteBuffer& put_bytes(std::span<const std::byte> bytes);
  /// Zeros up to a multiple of `alignment`.
  ByteBuffer& pad(std::size_t alignment);

  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// `values` in a plain type (f32, f16, bf16), narrowed to nearest even.
std::vector<std::byte> encode_plain(DType dtype, std::span<const float> values);

/// Blocks of any type with arbitrary quants; scales lie in [scale / 2, scale) and minima around it,
/// so that values are of the order of scale times the quants' range. The same for the same seed.
std::vector<std::byte> random_blocks(DType dtype, std::size_t elements, std::uint64_t seed,
                                     float scale = 0.01F);

/// `count` values in [-magnitude, magnitude). The same for the same seed.
std::vector<float> random_values(std::size_t count, std::uint64_t seed, float magnitude = 1.0F);

/// The numbers GGUF gives to value types and tensor types.
template <class T>
constexpr std::uint32_t gguf_number();
std::uint32_t gguf_number(DType dtype);

class GgufWriter {
 public:
  /// A value, in the type of the argument: 3U is u32, 1.5F is f32, "x" a string, true a bool.
  template <class T>
  requires std::integral<T> || std::floating_point<T> GgufWriter& set(std::string_view key,
                                                                      T value) {
    begin(key, gguf_number<T>()).put(value);
    return *this;
  }
  GgufWriter& set(std::string_view key, std::string_view value);
  GgufWriter& set(std::string_view key, const char* value) {
    return set(key, std::string_view(value));
  }
  GgufWriter& set(std::string_view key, const std::vector<std::string>& values);
  template <class T>
  requires std::integral<T> || std::floating_point<T> GgufWriter& set(
      std::string_view key, const std::vector<T>& values) {
    ByteBuffer& out = begin(key, kArray);
    out.put(gguf_number<T>()).put(std::uint64_t{values.size()});
    for (const T value : values) out.put(value);
    return *this;
  }
  /// The value as it lies in the file after its type: for nested arrays and for wrong ones.
  GgufWriter& set_raw(std::string_view key, std::uint32_t type, std::span<const std::byte> value);

  /// `shape` outermost first, as in TensorEntry. Data in `dtype`.
  GgufWriter& tensor(std::string_view name, std::vector<std::size_t> shape, DType dtype,
                     std::vector<std::byte> data);
  /// The same from floats, in f32, f16 or bf16.
  GgufWriter& tensor(std::string_view name, std::vector<std::size_t> shape,
                     std::span<const float> values, DType dtype = DType::kF32);

  /// What stands in a tensor's info, as the file has it; a test may change it before bytes().
  struct Info {
    std::string name;
    std::vector<std::uint64_t> dims;  // innermost first
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
  };
  std::vector<Info>& infos() { return infos_; }

  GgufWriter& version(std::uint32_t version);
  /// Also sets "general.alignment". Before the first tensor.
  GgufWriter& alignment(std::uint32_t alignment);

  /// The file. It ends with the last tensor's last byte.
  std::vector<std::byte> bytes() const;
  /// Bytes in front of the tensor data, padding included.
  std::size_t header_size() const;
  void write(const std::filesystem::path& path) const;

 private:
  static constexpr std::uint32_t kString = 8;
  static constexpr std::uint32_t kArray = 9;

  ByteBuffer& begin(std::string_view key, std::uint32_t type);
  ByteBuffer header() const;

  std::uint32_t version_ = 3;
  std::uint32_t alignment_ = 32;
  std::uint64_t metadata_count_ = 0;
  ByteBuffer metadata_;
  std::vector<Info> infos_;
  ByteBuffer data_;
};

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

template <class T>
constexpr std::uint32_t gguf_number() {
  if constexpr (std::same_as<T, bool>) {
    return 7;
  } else if constexpr (std::floating_point<T>) {
    return sizeof(T) == 4 ? 6 : 12;
  } else {
    constexpr std::uint32_t kSigned = std::signed_integral<T> ? 1 : 0;
    constexpr std::uint32_t kSize = sizeof(T);
    return (kSize == 1 ? 0 : kSize == 2 ? 2 : kSize == 4 ? 4 : 10) + kSigned;
  }
}

}  // namespace varve
