// Fields listed once, visited: `template <class A> void visit(A& a, T& value)` names the fields of
// a message in order, and the same list writes it and reads it back. Little-endian, no padding.
// Reading checks every length against the bytes that are left.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "common/error.h"

namespace varve {

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

/// Written as it lies in memory.
template <class T>
inline constexpr bool is_plain = (std::is_arithmetic_v<T> ||
                                  std::is_enum_v<T>)&&!std::is_same_v<T, bool>;

class ArchiveWriter {
 public:
  template <class... Fields>
  void operator()(Fields&... fields) {
    (put(fields), ...);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void put_bytes(const void* data, std::size_t n) {
    const auto* first = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), first, first + n);
  }
  template <class T>
  void put(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      put_bytes(&value, sizeof value);
    } else {
      visit(*this, value);
    }
  }
  void put(std::string& text) {
    auto size = static_cast<std::uint64_t>(text.size());
    put(size);
    put_bytes(text.data(), text.size());
  }
  template <class T>
  void put(std::vector<T>& items) {
    auto size = static_cast<std::uint64_t>(items.size());
    put(size);
    if constexpr (is_plain<T>) {
      put_bytes(items.data(), items.size() * sizeof(T));
    } else {
      for (T& item : items) put(item);
    }
  }

  std::vector<std::byte> bytes_;
};

class ArchiveReader {
 public:
  /// `what` names the message in errors.
  ArchiveReader(std::span<const std::byte> bytes, std::string_view what)
      : bytes_(bytes), what_(what) {}

  template <class... Fields>
  void operator()(Fields&... fields) {
    (get(fields), ...);
  }
  /// A message of another version would leave bytes over.
  void expect_end() const {
    if (!bytes_.empty()) fail(fmt::format("{} bytes too many", bytes_.size()));
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw PeerError(fmt::format("malformed {} message: {}", what_, why));
  }
  void get_bytes(void* to, std::size_t n) {
    if (n > bytes_.size()) fail(fmt::format("{} bytes wanted, {} left", n, bytes_.size()));
    if (n > 0) std::memcpy(to, bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
  }
  std::size_t get_size(std::size_t least_bytes_per_item) {
    std::uint64_t size = 0;
    get(size);
    if (size > bytes_.size() / least_bytes_per_item) {
      fail(fmt::format("a list of {} items in {} bytes", size, bytes_.size()));
    }
    return size;
  }
  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t byte = 0;
      get_bytes(&byte, 1);
      if (byte > 1) fail("a flag that is neither 0 nor 1");
      value = byte == 1;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      get_bytes(&value, sizeof value);
    } else {
      visit(*this, value);
    }
  }
  void get(std::string& text) {
    text.resize(get_size(1));
    get_bytes(text.data(), text.size());
  }
  template <class T>
  void get(std::vector<T>& items) {
    if constexpr (is_plain<T>) {
      items.resize(get_size(sizeof(T)));
      get_bytes(items.data(), items.size() * sizeof(T));
    } else {
      items.resize(get_size(1));
      for (T& item : items) get(item);
    }
  }

  std::span<const std::byte> bytes_;
  std::string_view what_;
};

template <class T>
std::vector<std::byte> to_bytes(const T& message) {
  ArchiveWriter writer;
  // One field list serves writing and reading, so it takes a mutable reference; writing only reads.
  visit(writer, const_cast<T&>(message));
  return writer.take();
}

template <class T>
T from_bytes(std::span<const std::byte> bytes, std::string_view what) {
  T message{};
  ArchiveReader reader(bytes, what);
  visit(reader, message);
  reader.expect_end();
  return message;
}

}  // namespace varve
