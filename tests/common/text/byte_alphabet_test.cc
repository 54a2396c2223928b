#include "common/text/byte_alphabet.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(ByteAlphabet, IsOneToOne) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t character = byte_to_character(static_cast<std::uint8_t>(byte));
    EXPECT_EQ(character_to_byte(character), byte);
  }
  EXPECT_EQ(spell_bytes(" \n\xFFz"), "\u0120\u010A\u00FFz");
  EXPECT_EQ(bytes_of_token("\u0120\u010A\u00FFz"), " \n\xFFz");
}

TEST(ByteAlphabet, TokensOutsideOfItAreTheirOwnText) {
  EXPECT_EQ(character_to_byte(U' '), std::nullopt);
  EXPECT_EQ(character_to_byte(0x144), std::nullopt);
  EXPECT_EQ(character_to_byte(0x10FFFF), std::nullopt);
  EXPECT_EQ(bytes_of_token("a b"), "a b");
  EXPECT_EQ(bytes_of_token("\u4E2D"), "\u4E2D");
}

}  // namespace
}  // namespace varve
