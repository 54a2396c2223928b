// The block types of GGUF, byte for byte as they lie in a file (little endian), and what element j
// of a block holds: w[j] = scale(j) * quant(j) + offset(j). The numbers multiply without rounding
// error (11-bit float16 mantissas times small integers), so this one formula reproduces the
// format's reference decoder bit for bit. Source: the GGUF/ggml format (Q4_0 ... Q6_K).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace varve::gguf {

using Nibbles16 = std::array<std::uint8_t, 16>;  // byte i: elements i (low half) and i + 16 (high)

struct Q4_0 {
  std::uint16_t d;
  Nibbles16 qs;
};
struct Q4_1 {
  std::uint16_t d, m;
  Nibbles16 qs;
};
struct Q5_0 {
  std::uint16_t d;
  std::array<std::uint8_t, 4> qh;  // bit j: fifth bit of element j
  Nibbles16 qs;
};
struct Q5_1 {
  std::uint16_t d, m;
  std::array<std::uint8_t, 4> qh;
  Nibbles16 qs;
};
struct Q8_0 {
  std::uint16_t d;
  std::array<std::int8_t, 32> qs;
};
/// Eight 6-bit scales and eight 6-bit minima in twelve bytes.
using PackedScales = std::array<std::uint8_t, 12>;
struct Q4_K {
  std::uint16_t d, dmin;
  PackedScales scales;
  std::array<std::uint8_t, 128> qs;  // 32 bytes hold 64 elements: low halves first
};
struct Q5_K {
  std::uint16_t d, dmin;
  PackedScales scales;
  std::array<std::uint8_t, 32> qh;  // bit g of byte i: fifth bit of element 32 g + i
  std::array<std::uint8_t, 128> qs;
};
struct Q6_K {
  std::array<std::uint8_t, 128> ql;
  std::array<std::uint8_t, 64> qh;
  std::array<std::int8_t, 16> scales;  // one per 16 elements
  std::uint16_t d;
};

static_assert(sizeof(Q4_0) == 18 && sizeof(Q4_1) == 20 && sizeof(Q5_0) == 22);
static_assert(sizeof(Q5_1) == 24 && sizeof(Q8_0) == 34 && sizeof(Q4_K) == 144);
static_assert(sizeof(Q5_K) == 176 && sizeof(Q6_K) == 210);

namespace detail {

constexpr unsigned nibble(const Nibbles16& qs, std::size_t j) {
  return j < 16 ? qs[j] & 15U : qs[j - 16] >> 4U;
}
constexpr unsigned bit(std::uint8_t byte, std::size_t at) {
  return (byte >> at) & 1U;
}
constexpr unsigned fifth_bit(const std::array<std::uint8_t, 4>& qh, std::size_t j) {
  return bit(qh[j / 8], j % 8) << 4U;
}
constexpr unsigned k_nibble(const std::array<std::uint8_t, 128>& qs, std::size_t j) {
  const std::uint8_t byte = qs[j / 64 * 32 + j % 32];
  return j % 64 < 32 ? byte & 15U : byte >> 4U;
}

}  // namespace detail

/// The stored bits of element j as an unsigned integer. A format without offset subtracts a bias
/// from it: kBias.
constexpr unsigned bits(const Q4_0& b, std::size_t j) {
  return detail::nibble(b.qs, j);
}
constexpr unsigned bits(const Q4_1& b, std::size_t j) {
  return detail::nibble(b.qs, j);
}
constexpr unsigned bits(const Q5_0& b, std::size_t j) {
  return detail::nibble(b.qs, j) | detail::fifth_bit(b.qh, j);
}
constexpr unsigned bits(const Q5_1& b, std::size_t j) {
  return detail::nibble(b.qs, j) | detail::fifth_bit(b.qh, j);
}
constexpr unsigned bits(const Q4_K& b, std::size_t j) {
  return detail::k_nibble(b.qs, j);
}
constexpr unsigned bits(const Q5_K& b, std::size_t j) {
  return detail::k_nibble(b.qs, j) | detail::bit(b.qh[j % 32], j / 32) << 4U;
}
constexpr unsigned bits(const Q6_K& b, std::size_t j) {
  // 128 elements take 64 bytes of low halves and 32 bytes of high pairs.
  const std::size_t half = j / 128;
  const std::size_t quarter = j % 128 / 32;
  const std::size_t i = j % 32;
  const std::uint8_t low = b.ql[half * 64 + quarter % 2 * 32 + i];
  const unsigned high = (b.qh[half * 32 + i] >> (2 * quarter)) & 3U;
  return (quarter < 2 ? low & 15U : low >> 4U) | high << 4U;
}

template <class Block>
inline constexpr int kBias = 0;
template <>
inline constexpr int kBias<Q4_0> = 8;
template <>
inline constexpr int kBias<Q5_0> = 16;
template <>
inline constexpr int kBias<Q6_K> = 32;

/// 6-bit scale and minimum of sub-block g (32 elements) of a K block, g < 8.
struct ScaleMin {
  std::uint8_t scale, min;
};
constexpr ScaleMin scale_min(const PackedScales& packed, std::size_t g) {
  if (g < 4) {
    return {static_cast<std::uint8_t>(packed[g] & 63U),
            static_cast<std::uint8_t>(packed[g + 4] & 63U)};
  }
  return {static_cast<std::uint8_t>((packed[g + 4] & 15U) | (packed[g - 4] >> 6U) << 4U),
          static_cast<std::uint8_t>((packed[g + 4] >> 4U) | (packed[g] >> 6U) << 4U)};
}

}  // namespace varve::gguf
