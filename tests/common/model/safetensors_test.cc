#include "common/model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_writer.h"
#include "tests/support/io_error.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::ElementsAre;

std::vector<std::byte> bytes_of(const TensorEntry& entry) {
  const auto* data = static_cast<const std::byte*>(entry.data);
  return {data, data + entry.bytes};
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(Safetensors, ReadsTheThreeTypes) {
  SafetensorsWriter w;
  const std::vector<float> values = random_values(15, 1);
  w.set("format", "pt").tensor("f", {3, 5}, values);
  w.tensor("h", {15}, values, DType::kF16).tensor("b", {1, 3, 5}, values, DType::kBF16);
  const auto bytes = w.bytes();
  const auto file = SafetensorsFile::from_bytes(bytes, "m.safetensors");
  EXPECT_EQ(file->tensors().size(), 3U);
  ASSERT_NE(file->find("f"), nullptr);
  EXPECT_EQ(file->find("f")->dtype, DType::kF32);
  EXPECT_THAT(file->find("f")->shape, ElementsAre(3, 5));
  EXPECT_EQ(bytes_of(*file->find("f")), encode_plain(DType::kF32, values));
  EXPECT_EQ(file->find("h")->dtype, DType::kF16);
  EXPECT_EQ(bytes_of(*file->find("h")), encode_plain(DType::kF16, values));
  EXPECT_EQ(file->find("b")->dtype, DType::kBF16);
  EXPECT_THAT(file->find("b")->shape, ElementsAre(1, 3, 5));
  EXPECT_EQ(bytes_of(*file->find("b")), encode_plain(DType::kBF16, values));
  EXPECT_EQ(file->find("x"), nullptr);
  EXPECT_EQ(file->describe("f"), "m.safetensors");
}

TEST(Safetensors, ReadsScalarsEmptyTensorsAndEmptyFiles) {
  SafetensorsWriter w;
  w.tensor("empty", {0, 7}, std::vector<float>{}).tensor("scalar", {}, std::vector<float>{4});
  w.tensor("none", {3, 0}, std::vector<float>{});
  const auto bytes = w.bytes();
  const auto file = SafetensorsFile::from_bytes(bytes, "m.safetensors");
  EXPECT_EQ(*static_cast<const float*>(file->find("scalar")->data), 4);
  EXPECT_TRUE(file->find("scalar")->shape.empty());
  EXPECT_EQ(file->find("empty")->bytes, 0U);
  const auto nothing = SafetensorsWriter().bytes();
  EXPECT_TRUE(SafetensorsFile::from_bytes(nothing, "m.safetensors")->tensors().empty());
}

TEST(Safetensors, TypesThatAreNotComputedWithFailWhenTheyAreAskedFor) {
  SafetensorsWriter w;
  w.tensor("ids", {2}, "I64", as_bytes("0123456789abcdef")).tensor("f", {1}, std::vector{1.0F});
  const auto bytes = w.bytes();
  const auto file = SafetensorsFile::from_bytes(bytes, "m.safetensors");
  EXPECT_EQ(file->tensors().size(), 1U);
  EXPECT_EQ(io_error([&] { file->find("ids"); }),
            "m.safetensors: tensor 'ids' has type I64, which is not supported; F32, F16 or BF16 "
            "would be right");
}

TEST(Safetensors, OpensShardsByTheirIndex) {
  const TempFolder folder;
  const std::string index = safetensors_index({{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  write_file(folder / "index.json", as_bytes(index));
  SafetensorsWriter().tensor("a", {2}, std::vector{1.0F, 2.0F}).write(folder / "one.safetensors");
  SafetensorsWriter().tensor("b", {1}, std::vector{3.0F}).write(folder / "two.safetensors");
  const auto file = SafetensorsFile::open_index(folder / "index.json");
  EXPECT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(static_cast<const float*>(file->find("a")->data)[1], 2);
  EXPECT_EQ(*static_cast<const float*>(file->find("b")->data), 3);
  EXPECT_EQ(file->describe("b"), (folder / "two.safetensors").string());
  EXPECT_EQ(file->describe("c"), (folder / "index.json").string());
}

}  // namespace
}  // namespace varve
