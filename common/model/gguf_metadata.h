// The key-value part of a GGUF header (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace varve {

class ByteCursor;

/// As numbered in the file.
enum class GgufType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

/// "u32", "string", ...
std::string_view gguf_type_name(GgufType type);

/// An array's elements as they lie in the file: `raw` for scalars, packed and not aligned;
/// `strings` for strings. Of an array of arrays only the count is kept.
struct GgufArray {
  GgufType element = GgufType::kU8;
  std::uint64_t count = 0;
  std::span<const std::byte> raw;
  std::vector<std::string_view> strings;
};

/// One value. Integers are widened to 64 bits, f32 to double.
struct GgufValue {
  GgufType type = GgufType::kU8;
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, GgufArray> data;
};

/// Conversions that keep the value: absent where `value` is of another kind (or, for as_u64,
/// negative). A float is never an integer; an integer is a number.
std::optional<std::uint64_t> as_u64(const GgufValue& value);
std::optional<double> as_f64(const GgufValue& value);
std::optional<bool> as_bool(const GgufValue& value);
std::optional<std::string_view> as_string(const GgufValue& value);
/// Any integers that fit, any numbers.
std::optional<std::vector<std::int64_t>> as_i64s(const GgufValue& value);
std::optional<std::vector<float>> as_f32s(const GgufValue& value);
/// For messages: "u32 7", "string 'x'", "array of 3 f32".
std::string describe(const GgufValue& value);

/// Immutable and thread-safe. Strings are views of the file's bytes: valid as long as the GgufFile.
class GgufMetadata {
 public:
  struct Entry {
    std::string_view key;
    GgufValue value;
  };

  GgufMetadata() = default;
  /// Reads `count` entries. IoError: path, byte offset, key, what is wrong, what would be right.
  GgufMetadata(ByteCursor& cursor, std::uint64_t count, std::string path);

  /// In file order.
  const std::vector<Entry>& entries() const { return entries_; }
  /// nullptr if there is none of that name.
  const GgufValue* find(std::string_view key) const;
  const std::string& path() const { return path_; }

  // Each is absent if the key is, and throws an IoError that names path, key, the type found and
  // the type asked for if the value is of another kind.
  std::optional<std::string_view> get_string(std::string_view key) const;
  std::optional<std::uint64_t> get_u64(std::string_view key) const;
  std::optional<double> get_f64(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::vector<std::int64_t>> get_i64s(std::string_view key) const;
  std::optional<std::vector<float>> get_f32s(std::string_view key) const;
  /// The strings lie in the file's bytes, their views here: nothing is copied.
  std::optional<std::span<const std::string_view>> get_strings(std::string_view key) const;

 private:
  void add(ByteCursor& cursor);

  std::string path_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace varve
