// GGUF files that are wrong in one place, and what the error says about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "common/model/gguf.h"
#include "tests/common/model/small_gguf.h"
#include "tests/support/io_error.h"

namespace varve {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr std::uint64_t kHuge = std::uint64_t{1} << 62;

std::string message(std::span<const std::byte> bytes) {
  return io_error([&] { GgufFile::from_bytes(bytes, "m.gguf"); });
}

std::string message(const GgufWriter& writer) {
  return message(writer.bytes());
}

// The message for a valid small file with `value` written over the bytes at `at`.
template <class T>
std::string message_with(std::size_t at, T value) {
  std::vector<std::byte> bytes = small_gguf().bytes();
  std::memcpy(bytes.data() + at, &value, sizeof(T));
  return message(bytes);
}

// The message for a small file whose tensor 1 (q4_1, 2 rows of 32) is changed.
std::string message_with_info(const std::function<void(GgufWriter::Info&)>& change) {
  GgufWriter w = small_gguf();
  change(w.infos()[1]);
  return message(w);
}

TEST(GgufCorruption, WrongMagic) {
  EXPECT_EQ(message_with(0, std::uint32_t{0x46554746}),
            "m.gguf: byte 0: begins with 'FGUF'; a GGUF file begins with 'GGUF'");
  EXPECT_EQ(message_with(0, std::uint32_t{0x04034b50}),
            "m.gguf: byte 0: begins with 'PK\\x03\\x04'; a GGUF file begins with 'GGUF'");
}

TEST(GgufCorruption, WrongVersion) {
  EXPECT_EQ(message_with(4, 1U), "m.gguf: byte 4: GGUF version 1; 2 or 3 would be right");
  EXPECT_EQ(message_with(4, 4U), "m.gguf: byte 4: GGUF version 4; 2 or 3 would be right");
  EXPECT_EQ(message_with(4, 0x03000000U),
            "m.gguf: byte 4: the file is big-endian; a little-endian one would be right");
}

TEST(GgufCorruption, CountsThatTheFileCannotHold) {
  EXPECT_THAT(message_with(8, kHuge),
              MatchesRegex("m.gguf: byte 24: 4611686018427387904 tensor infos cannot follow: the "
                           "file ends after [0-9]+ more bytes and each takes at least 33"));
  EXPECT_THAT(message_with(16, ~std::uint64_t{0}),
              MatchesRegex("m.gguf: byte 24: 18446744073709551615 metadata entries cannot follow: "
                           "the file ends after [0-9]+ more bytes and each takes at least 14"));
}

TEST(GgufCorruption, LengthsPastTheEnd) {
  EXPECT_THAT(message_with(24, kHuge),
              StartsWith("m.gguf: byte 32: a metadata key takes 4611686018427387904 bytes, but the "
                         "file ends after"));
  GgufWriter w;
  w.set_raw("k", 8, ByteBuffer().put(~std::uint64_t{0}).bytes());
  EXPECT_EQ(message(w),
            "m.gguf: byte 45, key 'k': a string takes 18446744073709551615 bytes, but the file "
            "ends after 19 more; the file is truncated or corrupt");
}

TEST(GgufCorruption, ArraysPastTheEnd) {
  const auto array = [](std::uint32_t element, std::uint64_t count) {
    GgufWriter w;
    w.set_raw("k", 9, ByteBuffer().put(element).put(count).bytes());
    return message(w);
  };
  EXPECT_THAT(array(10, kHuge), StartsWith("m.gguf: byte 49, key 'k': 4611686018427387904 array "
                                           "elements cannot follow"));
  EXPECT_THAT(array(0, 16), HasSubstr("16 array elements cannot follow: the file ends after 15"));
  EXPECT_THAT(array(8, kHuge), HasSubstr("4611686018427387904 strings cannot follow"));
  EXPECT_THAT(array(9, kHuge), HasSubstr("4611686018427387904 arrays cannot follow"));
}

TEST(GgufCorruption, ArraysNestedTooDeep) {
  ByteBuffer nested;
  for (int depth = 0; depth < 5; ++depth) nested.put(9U).put(std::uint64_t{1});
  nested.put(4U).put(std::uint64_t{0});
  GgufWriter w;
  w.set_raw("k", 9, nested.bytes());
  EXPECT_EQ(message(w), "m.gguf: byte 85, key 'k': arrays are nested deeper than 4 levels");
}

TEST(GgufCorruption, TypesAndBools) {
  GgufWriter w;
  w.set_raw("k", 13, {});
  w.set("padding", "long enough for the count to be possible");
  EXPECT_EQ(message(w),
            "m.gguf: byte 33, key 'k': the type of a value is 13; 0 to 12 would be right");
  GgufWriter b;
  b.set("k", true).set_raw("b", 7, ByteBuffer().put(std::uint8_t{2}).bytes());
  EXPECT_THAT(message(b), HasSubstr("key 'b': a bool is 2; 0 or 1 would be right"));
}

TEST(GgufCorruption, Keys) {
  GgufWriter twice;
  twice.set("a", 1U).set("k", 1U).set("k", 2U);
  EXPECT_EQ(message(twice), "m.gguf: byte 58, key 'k': the key stands twice; once would be right");
  GgufWriter empty;
  empty.set("", "long enough for the count to be possible");
  EXPECT_THAT(message(empty), HasSubstr("a key of 0 bytes; 1 to 65535 would be right"));
  GgufWriter longest;
  longest.set(std::string(65536, 'k'), 1U);
  EXPECT_THAT(message(longest), HasSubstr("a key of 65536 bytes; 1 to 65535 would be right"));
  EXPECT_LT(message(longest).size(), 300U);
}

TEST(GgufCorruption, Alignment) {
  for (const std::uint32_t bad : {0U, 4U, 24U, 0x80000000U}) {
    GgufWriter w;
    w.set("general.alignment", bad);
    EXPECT_EQ(message(w), "m.gguf: key 'general.alignment' is " + std::to_string(bad) +
                              "; a power of two from 8 to 1073741824 would be right");
  }
  GgufWriter w;
  w.set("general.alignment", "32");
  EXPECT_THAT(message(w), HasSubstr("key 'general.alignment' is string '32'"));
}

TEST(GgufCorruption, Dimensions) {
  EXPECT_THAT(message_with_info([](auto& info) { info.dims = {}; }),
              HasSubstr("tensor 'blk.0.attn_q.weight': 0 dimensions; 1 to 4 would be right"));
  EXPECT_THAT(message_with_info([](auto& info) {
                info.dims = {32, 1, 1, 1, 2};
              }),
              HasSubstr("5 dimensions; 1 to 4 would be right"));
  EXPECT_THAT(message_with_info([](auto& info) {
                info.dims = {32, 0};
              }),
              HasSubstr("a dimension is 0; at least 1 would be right"));
  EXPECT_THAT(message_with_info([](auto& info) {
                info.dims = {31, 2};
              }),
              HasSubstr("a row has 31 elements; a multiple of 32, the block of q4_1, would be"));
}

TEST(GgufCorruption, SizesThatOverflow) {
  const char* const expected = "the dimensions multiply to more than 64 bits can hold";
  EXPECT_THAT(message_with_info([](auto& info) {
                info.dims = {kHuge, kHuge};
              }),
              HasSubstr(expected));
  EXPECT_THAT(message_with_info([](auto& info) { info.dims = {32, kHuge}; }), HasSubstr(expected));
  // The elements fit, the bytes do not.
  EXPECT_THAT(message_with_info([](auto& info) {
                info.dims = {std::uint64_t{1} << 63};
                info.type = 0;
              }),
              HasSubstr(expected));
  // One byte less than 2^64 at an offset that would wrap.
  EXPECT_THAT(message_with_info([](auto& info) {
                info.dims = {kHuge - 1};
                info.type = 0;
              }),
              HasSubstr("pass the end of the file"));
}

TEST(GgufCorruption, Types) {
  EXPECT_THAT(message_with_info([](auto& info) { info.type = 16; }),
              HasSubstr("tensor 'blk.0.attn_q.weight': type 16 (IQ2_XXS) is not supported; "
                        "supported are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, "
                        "Q6_K"));
  EXPECT_THAT(message_with_info([](auto& info) { info.type = 4000; }),
              HasSubstr("type 4000 (unknown) is not supported"));
}

TEST(GgufCorruption, Offsets) {
  EXPECT_THAT(message_with_info([](auto& info) { ++info.offset; }),
              HasSubstr("offset 385 is no multiple of the alignment 32"));
  for (const std::uint64_t offset : {std::uint64_t{4096}, kHuge, ~std::uint64_t{31}}) {
    EXPECT_THAT(message_with_info([&](auto& info) { info.offset = offset; }),
                MatchesRegex("m.gguf: byte [0-9]+, tensor 'blk.0.attn_q.weight': 40 bytes at "
                             "offset [0-9]+ of the data .which begins at byte [0-9]+. pass the end "
                             "of the file; it is truncated or corrupt"));
  }
}

TEST(GgufCorruption, Overlaps) {
  EXPECT_THAT(message_with_info([](auto& info) { info.offset = 352; }),
              HasSubstr("tensor 'blk.0.attn_q.weight': its data at offset 352 overlaps that of "
                        "tensor 'token_embd.weight', which takes offsets 0 to 384"));
  EXPECT_THAT(message_with_info([](auto& info) { info.offset = 0; }), HasSubstr("overlaps"));
}

TEST(GgufCorruption, NamesOfTensors) {
  EXPECT_THAT(message_with_info([](auto& info) { info.name = "token_embd.weight"; }),
              MatchesRegex("m.gguf: byte [0-9]+, tensor 'token_embd.weight': the tensor is listed "
                           "twice, first at byte [0-9]+; once would be right"));
  EXPECT_THAT(message_with_info([](auto& info) { info.name = ""; }),
              HasSubstr("a tensor's name is empty"));
  EXPECT_THAT(message_with_info([](auto& info) {
                info.name = "\x1b[31m" + std::string(500, 'x');
                info.type = 99;
              }),
              HasSubstr("tensor '\\x1b[31mxxx"));
}

TEST(GgufCorruption, TruncationAtEveryByteIsAnError) {
  const std::vector<std::byte> whole = small_gguf().bytes();
  ASSERT_NO_THROW(GgufFile::from_bytes(whole, "m.gguf"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly that size, so that a sanitizer sees reads past it.
    const std::vector<std::byte> part(whole.begin(),
                                      whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THAT(message(part), StartsWith("m.gguf: byte ")) << size;
  }
}

// Nothing is asked of the outcome but that it is a file or an IoError.
TEST(GgufCorruption, AFlippedBitInTheHeaderNeverCrashes) {
  std::vector<std::byte> bytes = small_gguf().bytes();
  std::size_t refused = 0;
  const std::size_t header = small_gguf().header_size();
  for (std::size_t at = 0; at < header; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const auto mask = static_cast<std::byte>(1 << bit);
      bytes[at] ^= mask;
      try {
        const auto file = GgufFile::from_bytes(bytes, "m.gguf");
        for (const TensorEntry& entry : file->tensors()) {
          const auto* end = static_cast<const std::byte*>(entry.data) + entry.bytes;
          ASSERT_LE(end, bytes.data() + bytes.size());
        }
      } catch (const IoError&) {
        ++refused;
      }
      bytes[at] ^= mask;
    }
  }
  EXPECT_GT(refused, header);  // of 8 * header
}

}  // namespace
}  // namespace varve
