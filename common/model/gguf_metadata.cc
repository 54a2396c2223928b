#include "common/model/gguf_metadata.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <utility>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/model/byte_cursor.h"

namespace varve {
namespace {

// Keys are shorter than this by the specification.
constexpr std::uint64_t kMaxKey = 65535;
// An array within an array within ...: no writer goes beyond 2.
constexpr int kMaxNesting = 4;

constexpr std::array<std::string_view, 13> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

GgufType read_type(ByteCursor& cursor, const char* what) {
  const std::uint64_t at = cursor.offset();
  const auto number = cursor.read<std::uint32_t>(what);
  if (number >= kTypeNames.size()) {
    cursor.fail(
        at, fmt::format("{} is {}; 0 to {} would be right", what, number, kTypeNames.size() - 1));
  }
  return static_cast<GgufType>(number);
}

// Calls f with a zero of the C++ type that a scalar GgufType names.
template <class F>
auto with_scalar(GgufType type, F&& f) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kBool:
      return f(std::uint8_t{});
    case GgufType::kI8:
      return f(std::int8_t{});
    case GgufType::kU16:
      return f(std::uint16_t{});
    case GgufType::kI16:
      return f(std::int16_t{});
    case GgufType::kU32:
      return f(std::uint32_t{});
    case GgufType::kI32:
      return f(std::int32_t{});
    case GgufType::kF32:
      return f(float{});
    case GgufType::kU64:
      return f(std::uint64_t{});
    case GgufType::kI64:
      return f(std::int64_t{});
    case GgufType::kF64:
      return f(double{});
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  VARVE_CHECK(false, "{} is no scalar", gguf_type_name(type));
}

GgufArray read_array(ByteCursor& cursor, int depth) {
  const std::uint64_t at = cursor.offset();
  if (depth == kMaxNesting) {
    cursor.fail(at, fmt::format("arrays are nested deeper than {} levels", kMaxNesting));
  }
  GgufArray array;
  array.element = read_type(cursor, "the type of an array's elements");
  array.count = cursor.read<std::uint64_t>("the length of an array");
  if (array.element == GgufType::kString) {
    cursor.expect_room(array.count, sizeof(std::uint64_t), "strings");
    array.strings.reserve(array.count);
    for (std::uint64_t i = 0; i < array.count; ++i) {
      array.strings.push_back(cursor.read_string("a string"));
    }
  } else if (array.element == GgufType::kArray) {
    cursor.expect_room(array.count, sizeof(std::uint32_t) + sizeof(std::uint64_t), "arrays");
    for (std::uint64_t i = 0; i < array.count; ++i) read_array(cursor, depth + 1);
  } else {
    const std::size_t size = with_scalar(array.element, [](auto zero) { return sizeof(zero); });
    cursor.expect_room(array.count, size, "array elements");
    array.raw = cursor.take(array.count * size, "an array");
  }
  return array;
}

bool read_bool(ByteCursor& cursor) {
  const std::uint64_t at = cursor.offset();
  const auto byte = cursor.read<std::uint8_t>("a bool");
  if (byte > 1) cursor.fail(at, fmt::format("a bool is {}; 0 or 1 would be right", byte));
  return byte == 1;
}

GgufValue read_value(ByteCursor& cursor, GgufType type) {
  GgufValue value{.type = type, .data = {}};
  if (type == GgufType::kString) {
    value.data = cursor.read_string("a string");
  } else if (type == GgufType::kArray) {
    value.data = read_array(cursor, 0);
  } else if (type == GgufType::kBool) {
    value.data = read_bool(cursor);
  } else {
    with_scalar(type, [&]<class T>(T) {
      const T read = cursor.read<T>("a number");
      if constexpr (std::floating_point<T>) {
        value.data = double{read};
      } else if constexpr (std::is_signed_v<T>) {
        value.data = std::int64_t{read};
      } else {
        value.data = std::uint64_t{read};
      }
    });
  }
  return value;
}

// Calls f with each element of an array of numbers; false if it is not one.
template <class F>
bool for_each_number(const GgufValue& value, F&& f) {
  const auto* array = std::get_if<GgufArray>(&value.data);
  if (array == nullptr || array->element == GgufType::kString ||
      array->element == GgufType::kArray || array->element == GgufType::kBool) {
    return false;
  }
  return with_scalar(array->element, [&]<class T>(T element) {
    for (std::uint64_t i = 0; i < array->count; ++i) {
      std::memcpy(&element, array->raw.data() + i * sizeof(T), sizeof(T));
      if (!f(element)) return false;
    }
    return true;
  });
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  const auto number = static_cast<std::size_t>(type);
  VARVE_CHECK(number < kTypeNames.size(), "type {}", number);
  return kTypeNames[number];
}

std::optional<std::uint64_t> as_u64(const GgufValue& value) {
  if (const auto* u = std::get_if<std::uint64_t>(&value.data)) return *u;
  const auto* i = std::get_if<std::int64_t>(&value.data);
  if (i == nullptr || *i < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*i);
}

std::optional<double> as_f64(const GgufValue& value) {
  if (const auto* f = std::get_if<double>(&value.data)) return *f;
  if (const auto* u = std::get_if<std::uint64_t>(&value.data)) return static_cast<double>(*u);
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) return static_cast<double>(*i);
  return std::nullopt;
}

std::optional<bool> as_bool(const GgufValue& value) {
  const auto* b = std::get_if<bool>(&value.data);
  return b == nullptr ? std::nullopt : std::optional(*b);
}

std::optional<std::string_view> as_string(const GgufValue& value) {
  const auto* s = std::get_if<std::string_view>(&value.data);
  return s == nullptr ? std::nullopt : std::optional(*s);
}

std::optional<std::vector<std::int64_t>> as_i64s(const GgufValue& value) {
  std::vector<std::int64_t> out;
  const bool fits = for_each_number(value, [&]<class T>(T element) {
    if constexpr (std::integral<T>) {
      if (!std::in_range<std::int64_t>(element)) return false;
      out.push_back(static_cast<std::int64_t>(element));
    }
    return std::integral<T>;
  });
  return fits ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::vector<float>> as_f32s(const GgufValue& value) {
  std::vector<float> out;
  const bool fits = for_each_number(value, [&](auto element) {
    out.push_back(static_cast<float>(element));
    return true;
  });
  return fits ? std::optional(std::move(out)) : std::nullopt;
}

std::string describe(const GgufValue& value) {
  const std::string_view type = gguf_type_name(value.type);
  if (const auto* array = std::get_if<GgufArray>(&value.data)) {
    return fmt::format("array of {} {}", array->count, gguf_type_name(array->element));
  }
  if (const auto s = as_string(value)) return fmt::format("{} {}", type, in_quotes(*s));
  if (const auto b = as_bool(value)) return fmt::format("{} {}", type, *b);
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) {
    return fmt::format("{} {}", type, *i);
  }
  if (const auto u = as_u64(value)) return fmt::format("{} {}", type, *u);
  return fmt::format("{} {}", type, as_f64(value).value());
}

GgufMetadata::GgufMetadata(ByteCursor& cursor, std::uint64_t count, std::string path)
    : path_(std::move(path)) {
  for (std::uint64_t i = 0; i < count; ++i) add(cursor);
}

void GgufMetadata::add(ByteCursor& cursor) {
  const std::uint64_t at = cursor.offset();
  cursor.set_context("", {});
  const std::string_view key = cursor.read_string("a metadata key");
  cursor.set_context("key", key);
  if (key.empty() || key.size() > kMaxKey) {
    cursor.fail(at, fmt::format("a key of {} bytes; 1 to {} would be right", key.size(), kMaxKey));
  }
  if (!index_.emplace(key, entries_.size()).second) {
    cursor.fail(at, "the key stands twice; once would be right");
  }
  const GgufType type = read_type(cursor, "the type of a value");
  entries_.push_back({key, read_value(cursor, type)});
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

namespace {

// What all getters do: absent, converted, or an error that says what would be right.
template <class Convert>
auto get(const GgufMetadata& metadata, std::string_view key, std::string_view wanted,
         Convert convert) -> decltype(convert(std::declval<const GgufValue&>())) {
  const GgufValue* value = metadata.find(key);
  if (value == nullptr) return std::nullopt;
  auto converted = convert(*value);
  if (!converted) {
    throw IoError(fmt::format("{}: key {} is {}; {} would be right", metadata.path(),
                              in_quotes(key), describe(*value), wanted));
  }
  return converted;
}

}  // namespace

std::optional<std::string_view> GgufMetadata::get_string(std::string_view key) const {
  return get(*this, key, "a string", as_string);
}

std::optional<std::uint64_t> GgufMetadata::get_u64(std::string_view key) const {
  return get(*this, key, "an integer that is not negative", as_u64);
}

std::optional<double> GgufMetadata::get_f64(std::string_view key) const {
  return get(*this, key, "a number", as_f64);
}

std::optional<bool> GgufMetadata::get_bool(std::string_view key) const {
  return get(*this, key, "a bool", as_bool);
}

std::optional<std::vector<std::int64_t>> GgufMetadata::get_i64s(std::string_view key) const {
  return get(*this, key, "an array of integers", as_i64s);
}

std::optional<std::vector<float>> GgufMetadata::get_f32s(std::string_view key) const {
  return get(*this, key, "an array of numbers", as_f32s);
}

std::optional<std::span<const std::string_view>> GgufMetadata::get_strings(
    std::string_view key) const {
  using Strings = std::optional<std::span<const std::string_view>>;
  return get(*this, key, "an array of strings", [](const GgufValue& value) -> Strings {
    const auto* array = std::get_if<GgufArray>(&value.data);
    if (array == nullptr || array->element != GgufType::kString) return std::nullopt;
    return std::span(array->strings);
  });
}

}  // namespace varve
