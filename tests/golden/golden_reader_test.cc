// The reader of golden data against files that are written here, right and wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "tests/support/golden.h"
#include "tests/support/io_error.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class GoldenReader : public ::testing::Test {
 protected:
  std::string load_error(std::span<const std::byte> bytes) {
    std::ofstream(file_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    const std::string message = io_error([&] { Golden::load(file_); });
    EXPECT_THAT(message, StartsWith(file_.string() + ": "));
    return message;
  }
  std::string header_error(std::string_view header) {
    const std::array<std::byte, 8> data{};
    return load_error(safetensors_bytes(header, data));
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "golden.safetensors";
};

SafetensorsWriter three_tensors() {
  const std::array values{1.5F, -2.0F, 0.0F, 4.0F, 5.0F, 6.0F};
  const std::array<std::int32_t, 2> ids{7, -8};
  const std::array<std::uint8_t, 3> raw{0, 128, 255};
  SafetensorsWriter writer;
  writer.tensor("values", {2, 3}, values);
  writer.tensor("ids", {2}, "I32", std::as_bytes(std::span(ids)));
  writer.tensor("raw", {3, 1}, "U8", std::as_bytes(std::span(raw)));
  writer.set("made by", "this test");
  return writer;
}

TEST_F(GoldenReader, ReadsEachType) {
  three_tensors().write(file_);
  const Golden golden = Golden::load(file_);
  EXPECT_THAT(golden.f32("values"), ElementsAre(1.5F, -2.0F, 0.0F, 4.0F, 5.0F, 6.0F));
  EXPECT_THAT(golden.i32("ids"), ElementsAre(7, -8));
  EXPECT_THAT(golden.u8("raw"), ElementsAre(0, 128, 255));
  EXPECT_THAT(golden.shape("values"), ElementsAre(2U, 3U));
  EXPECT_THAT(golden.shape("raw"), ElementsAre(3U, 1U));
  EXPECT_TRUE(golden.has("ids"));
  EXPECT_FALSE(golden.has("made by"));
}

TEST_F(GoldenReader, OutlivesAMove) {
  three_tensors().write(file_);
  Golden first = Golden::load(file_);
  const auto before = first.f32("values");
  const Golden second = std::move(first);
  EXPECT_EQ(second.f32("values").data(), before.data());
}

TEST_F(GoldenReader, NamesWhatIsMissing) {
  three_tensors().write(file_);
  const Golden golden = Golden::load(file_);
  EXPECT_EQ(io_error([&] { golden.f32("logits"); }),
            file_.string() + ": has no tensor 'logits'; it has ids, raw, values");
  EXPECT_EQ(io_error([&] { golden.shape("x"); }),
            file_.string() + ": has no tensor 'x'; it has ids, raw, values");
  EXPECT_EQ(io_error([&] { golden.f32("ids"); }),
            file_.string() + ": tensor 'ids' is I32, not F32");
  EXPECT_EQ(io_error([&] { golden.i32("raw"); }), file_.string() + ": tensor 'raw' is U8, not I32");
  EXPECT_EQ(io_error([&] { golden.u8("ids"); }), file_.string() + ": tensor 'ids' is I32, not U8");
}

TEST_F(GoldenReader, RefusesFilesThatAreNotWhole) {
  EXPECT_THAT(io_error([&] { Golden::load(file_); }), HasSubstr("cannot be opened"));
  const std::vector<std::byte> bytes = three_tensors().bytes();
  const auto cut = [&](std::size_t size) { return load_error(std::span(bytes).first(size)); };
  EXPECT_THAT(cut(0), HasSubstr("ends within its length of the header"));
  EXPECT_THAT(cut(7), HasSubstr("ends within its length of the header"));
  EXPECT_THAT(cut(8), HasSubstr("ends within its header"));
  EXPECT_THAT(cut(bytes.size() - 1), HasSubstr("tensor 'raw' spans bytes [32, 35) of 34"));
}

TEST_F(GoldenReader, RefusesWrongHeaders) {
  EXPECT_THAT(load_error(std::as_bytes(std::span("GGUF is something else"))),
              HasSubstr("is this a safetensors file?"));
  EXPECT_THAT(header_error("{"), HasSubstr("header: "));
  EXPECT_THAT(header_error(R"({"a": {"dtype": "F32", "shape": [1]}})"), HasSubstr("data_offsets"));
  EXPECT_THAT(header_error(R"({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}})"),
              HasSubstr("tensor 'a' is F64; golden data is F32, I32 or U8"));
  EXPECT_THAT(header_error(R"({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}})"),
              HasSubstr("tensor 'a' spans bytes [0, 8) of 8, but has 3 elements"));
  EXPECT_THAT(header_error(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}})"),
              HasSubstr("tensor 'a' spans bytes [8, 0) of 8"));
  EXPECT_THAT(header_error(R"({"a": {"dtype": "I32", "shape": [1], "data_offsets": [2, 6]}})"),
              HasSubstr("tensor 'a' begins at byte 2; a multiple of 4 would be right"));
}

}  // namespace
}  // namespace varve
