// The emulator's and the interpreter's results of the sample kernels, bit for bit. The PTX is made
// without fused multiply-adds, which the host compiler does not make either. Only log2f is another
// function on the device, by a unit in the last place at times.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace varve::samples {
namespace {

std::string output_of(const char* program) {
  FILE* const pipe = popen(program, "r");
  if (pipe == nullptr) return {};
  std::string text;
  std::array<char, 4096> buffer;
  while (const std::size_t bytes = fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), bytes);
  }
  return pclose(pipe) == 0 ? text : "";
}

// Little-endian words of 4 bytes, one list for each sample.
std::vector<std::vector<std::uint32_t>> words_of(const char* program) {
  std::vector<std::vector<std::uint32_t>> all;
  std::istringstream text(output_of(program));
  for (std::string line; std::getline(text, line);) {
    std::vector<std::uint32_t>& words = all.emplace_back();
    for (std::size_t at = 0; at + 8 <= line.size(); at += 8) {
      const auto big = static_cast<std::uint32_t>(std::stoul(line.substr(at, 8), nullptr, 16));
      words.push_back(__builtin_bswap32(big));
    }
  }
  return all;
}

// Places where the lists differ.
std::vector<std::size_t> differences(const std::vector<std::uint32_t>& a,
                                     const std::vector<std::uint32_t>& b) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) places.push_back(i);
  }
  return places;
}

class SameBits : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    emulated = words_of(VARVE_EMULATED_BYTES);
    interpreted = words_of(VARVE_INTERPRETED_BYTES);
  }
  void SetUp() override {
    ASSERT_EQ(emulated.size(), 4U) << VARVE_EMULATED_BYTES;
    ASSERT_EQ(interpreted.size(), 4U) << VARVE_INTERPRETED_BYTES;
    for (std::size_t i = 0; i < 4; ++i) {
      ASSERT_GT(emulated[i].size(), 90U);
      ASSERT_EQ(emulated[i].size(), interpreted[i].size());
    }
  }

  // All but the ranges [begin, end) of results that went through log2f.
  static void expect_same(std::size_t sample,
                          const std::vector<std::array<std::size_t, 2>>& logarithms) {
    const auto& a = emulated[sample];
    const auto& b = interpreted[sample];
    for (const std::size_t i : differences(a, b)) {
      bool logarithm = false;
      for (const auto& [begin, end] : logarithms) logarithm |= i >= begin && i < end;
      const std::uint32_t apart = a[i] < b[i] ? b[i] - a[i] : a[i] - b[i];
      EXPECT_TRUE(logarithm && apart <= 1)
          << "word " << i << ": " << std::hex << a[i] << ", " << b[i];
    }
  }

  static inline std::vector<std::vector<std::uint32_t>> emulated, interpreted;
};

TEST_F(SameBits, RowNorm) {
  expect_same(0, {});
}
TEST_F(SameBits, SelectTop) {
  expect_same(1, {});
}

// Two shapes, each the output (pairs of bfloat16) and then the logarithms: 20 queries of one head,
// 70 of two.
TEST_F(SameBits, Prefill) {
  constexpr std::size_t kFirst = 20 * 32 / 2;
  constexpr std::size_t kSecond = kFirst + 20 + 70 * 2 * 32 / 2;
  ASSERT_EQ(emulated[2].size(), kSecond + 140);
  expect_same(2, {{kFirst, kFirst + 20}, {kSecond, kSecond + 140}});
}

TEST_F(SameBits, Decode) {
  ASSERT_EQ(emulated[3].size(), 3U * 32 + 3);
  expect_same(3, {{96, 99}});
}

}  // namespace
}  // namespace varve::samples
