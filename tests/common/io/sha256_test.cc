#include "common/io/sha256.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_writer.h"
#include "tests/support/io_error.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

std::string hash_of(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text)));
}

// Examples of FIPS 180-4 (NIST, "SHA256.pdf") and the empty message.
TEST(Sha256, EqualsThePublishedExamples) {
  EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const TempFolder folder;
  for (const std::size_t size : {0UL, 1UL, (1UL << 20) - 1, 1UL << 20, (1UL << 20) + 5}) {
    const std::string text(size, 'a');
    write_file(folder / "f", std::as_bytes(std::span(text)));
    EXPECT_EQ(sha256_hex(folder / "f"), hash_of(text)) << size;
  }
}

TEST(Sha256, OfAMissingFileNamesIt) {
  const TempFolder folder;
  EXPECT_THAT(io_error([&] { sha256_hex(folder / "none"); }),
              testing::HasSubstr("none: no such file"));
}

}  // namespace
}  // namespace varve
