// Sizes and times as users write them: "8GiB", "1.5 GiB", "250ms", "10min".
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace varve {

/// A count of bytes that was or will be written with its unit.
struct Bytes {
  std::uint64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
};

using Duration = std::chrono::nanoseconds;

namespace literals {
constexpr Bytes operator""_KiB(unsigned long long n) {
  return {n << 10};
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return {n << 20};
}
constexpr Bytes operator""_GiB(unsigned long long n) {
  return {n << 30};
}
constexpr Bytes operator""_TiB(unsigned long long n) {
  return {n << 40};
}
}  // namespace literals

/// B, KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000), in any case; a plain number is bytes. Up
/// to six decimals; a fraction of a byte is dropped. ConfigError says what would be right.
Bytes parse_bytes(std::string_view text);

/// ns, us, ms, s, min (or m), h; terms add up: "1h 30min". Only 0 may stand without a unit.
Duration parse_duration(std::string_view text);

/// At most two decimals, in the largest unit of 1024 that fits: "0 B", "1.5 GiB".
std::string to_string(Bytes bytes);

/// "850 ms", "1.25 s"; from a minute on two units: "2 min 5 s", "1 h 3 min".
std::string to_string(Duration duration);

}  // namespace varve
