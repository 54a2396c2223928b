// Reads little-endian values, front to back, from bytes that nobody has checked. The only way the
// file readers touch a header, so that no length or count is trusted before it is compared with
// what is left.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace varve {

static_assert(std::endian::native == std::endian::little,
              "values are read as they lie in the file");

template <class T>
concept Scalar = std::integral<T> || std::floating_point<T>;

class ByteCursor {
 public:
  /// `path` is what error messages begin with.
  ByteCursor(std::span<const std::byte> bytes, std::string path);

  std::uint64_t offset() const { return offset_; }
  std::uint64_t remaining() const { return bytes_.size() - offset_; }

  /// What is being read, for messages, until the next call: "key 'general.name'". Kept as a
  /// pointer: formatting a sentence for each of 100 000 tokens would take longer than reading them.
  void set_context(const char* kind, std::string_view name) {
    kind_ = kind;
    name_ = name;
  }

  template <Scalar T>
  T read(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  /// A 64-bit length, then as many bytes. The view lies in the bytes of the cursor.
  std::string_view read_string(const char* what);

  /// The next `count` bytes.
  std::span<const std::byte> take(std::uint64_t count, const char* what);

  /// Throws unless `count` things of at least `least` bytes each can still follow.
  void expect_room(std::uint64_t count, std::uint64_t least, const char* what) const;

  /// IoError "path: byte N: message", or with the context "path: byte N, key 'x': message".
  [[noreturn]] void fail(std::uint64_t at, std::string_view message) const;

 private:
  std::span<const std::byte> bytes_;
  std::string path_;
  std::uint64_t offset_ = 0;
  const char* kind_ = "";
  std::string_view name_;
};

}  // namespace varve
