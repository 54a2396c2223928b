#include "kernels/gguf_blocks.h"

#include <span>

namespace varve::gguf {
namespace {

unsigned nibble(const Nibbles16& qs, std::size_t j) {
  return j < 16 ? qs[j] & 15U : qs[j - 16] >> 4U;
}

unsigned bit(std::uint8_t byte, std::size_t at) {
  return (byte >> at) & 1U;
}

unsigned fifth_bit(const std::array<std::uint8_t, 4>& qh, std::size_t j) {
  return bit(qh[j / 8], j % 8) << 4U;
}

unsigned k_nibble(const std::array<std::uint8_t, 128>& qs, std::size_t j) {
  const std::uint8_t byte = qs[j / 64 * 32 + j % 32];
  return j % 64 < 32 ? byte & 15U : byte >> 4U;
}

}  // namespace

unsigned bits(const Q4_0& b, std::size_t j) {
  return nibble(b.qs, j);
}
unsigned bits(const Q4_1& b, std::size_t j) {
  return nibble(b.qs, j);
}
unsigned bits(const Q5_0& b, std::size_t j) {
  return nibble(b.qs, j) | fifth_bit(b.qh, j);
}
unsigned bits(const Q5_1& b, std::size_t j) {
  return nibble(b.qs, j) | fifth_bit(b.qh, j);
}
unsigned bits(const Q4_K& b, std::size_t j) {
  return k_nibble(b.qs, j);
}
unsigned bits(const Q5_K& b, std::size_t j) {
  return k_nibble(b.qs, j) | bit(b.qh[j % 32], j / 32) << 4U;
}
unsigned bits(const Q6_K& b, std::size_t j) {
  // 128 elements take 64 bytes of low halves and 32 bytes of high pairs.
  const std::size_t half = j / 128;
  const std::size_t quarter = j % 128 / 32;
  const std::size_t i = j % 32;
  const std::uint8_t low = b.ql[half * 64 + quarter % 2 * 32 + i];
  const unsigned high = (b.qh[half * 32 + i] >> (2 * quarter)) & 3U;
  return (quarter < 2 ? low & 15U : low >> 4U) | high << 4U;
}

ScaleMin scale_min(const PackedScales& packed, std::size_t g) {
  if (g < 4) {
    return {static_cast<std::uint8_t>(packed[g] & 63U),
            static_cast<std::uint8_t>(packed[g + 4] & 63U)};
  }
  return {static_cast<std::uint8_t>((packed[g + 4] & 15U) | (packed[g - 4] >> 6U) << 4U),
          static_cast<std::uint8_t>((packed[g + 4] >> 4U) | (packed[g] >> 6U) << 4U)};
}

}  // namespace varve::gguf
