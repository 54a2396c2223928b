#include "common/model/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/common/model/small_gguf.h"
#include "tests/support/io_error.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::Optional;

// Keeps the bytes as long as the file.
struct Parsed {
  std::vector<std::byte> bytes;
  std::unique_ptr<GgufFile> file;

  explicit Parsed(const GgufWriter& writer)
      : bytes(writer.bytes()), file(GgufFile::from_bytes(bytes, "m.gguf")) {}
  const GgufMetadata& metadata() const { return file->metadata(); }
};

TEST(Gguf, ReadsEveryTypeOfValue) {
  GgufWriter w;
  w.set("u8", std::uint8_t{200}).set("i8", std::int8_t{-5});
  w.set("u16", std::uint16_t{60000}).set("i16", std::int16_t{-6});
  w.set("u32", 4000000000U).set("i32", -7);
  w.set("u64", std::numeric_limits<std::uint64_t>::max()).set("i64", std::int64_t{-8});
  w.set("f32", 0.25F).set("f64", 1e300).set("no", false).set("yes", true).set("s", "text");
  const Parsed p(w);
  const GgufMetadata& m = p.metadata();
  EXPECT_THAT(m.get_u64("u8"), Optional(200U));
  EXPECT_THAT(m.get_f64("i8"), Optional(-5.0));
  EXPECT_THAT(m.get_u64("u16"), Optional(60000U));
  EXPECT_THAT(m.get_f64("i16"), Optional(-6.0));
  EXPECT_THAT(m.get_u64("u32"), Optional(4000000000U));
  EXPECT_THAT(m.get_f64("i32"), Optional(-7.0));
  EXPECT_THAT(m.get_u64("u64"), Optional(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_THAT(m.get_f64("i64"), Optional(-8.0));
  EXPECT_THAT(m.get_f64("f32"), Optional(0.25));
  EXPECT_THAT(m.get_f64("f64"), Optional(1e300));
  EXPECT_THAT(m.get_bool("no"), Optional(false));
  EXPECT_THAT(m.get_bool("yes"), Optional(true));
  EXPECT_THAT(m.get_string("s"), Optional(std::string_view("text")));
  EXPECT_EQ(m.entries().size(), 13U);
  EXPECT_EQ(m.entries()[1].key, "i8");
}

TEST(Gguf, ReadsArrays) {
  GgufWriter w;
  w.set("i16s", std::vector<std::int16_t>{-1, 2, 3}).set("f64s", std::vector<double>{0.5, -2});
  w.set("u8s", std::vector<std::uint8_t>{255}).set("none", std::vector<float>{});
  w.set("strings", std::vector<std::string>{"a", "", std::string("b\0c", 3)});
  const Parsed p(w);
  const GgufMetadata& m = p.metadata();
  EXPECT_THAT(m.get_i64s("i16s"), Optional(ElementsAre(-1, 2, 3)));
  EXPECT_THAT(m.get_f32s("i16s"), Optional(ElementsAre(-1.0F, 2.0F, 3.0F)));
  EXPECT_THAT(m.get_f32s("f64s"), Optional(ElementsAre(0.5F, -2.0F)));
  EXPECT_THAT(m.get_i64s("u8s"), Optional(ElementsAre(255)));
  EXPECT_THAT(m.get_f32s("none"), Optional(ElementsAre()));
  EXPECT_THAT(m.get_strings("strings"), Optional(ElementsAre("a", "", std::string("b\0c", 3))));
  const std::string_view first = (*m.get_strings("strings"))[0];
  EXPECT_GE(reinterpret_cast<const std::byte*>(first.data()), p.bytes.data()) << "was copied";
  EXPECT_LT(reinterpret_cast<const std::byte*>(first.data()), p.bytes.data() + p.bytes.size());
}

TEST(Gguf, AbsentKeysAreAbsent) {
  const Parsed p(small_gguf());
  const GgufMetadata& m = p.metadata();
  EXPECT_EQ(m.find("x"), nullptr);
  EXPECT_EQ(m.get_string("x"), std::nullopt);
  EXPECT_EQ(m.get_u64("x"), std::nullopt);
  EXPECT_EQ(m.get_f64("x"), std::nullopt);
  EXPECT_EQ(m.get_bool("x"), std::nullopt);
  EXPECT_EQ(m.get_i64s("x"), std::nullopt);
  EXPECT_EQ(m.get_f32s("x"), std::nullopt);
  EXPECT_FALSE(m.get_strings("x").has_value());
}

TEST(Gguf, AValueOfAnotherKindIsAnError) {
  GgufWriter w;
  w.set("f", 1.5F).set("s", "text").set("i", -3).set("u", 1U).set("b", true);
  w.set("big", std::vector<std::uint64_t>{1, std::uint64_t{1} << 63});
  w.set("strings", std::vector<std::string>{"a"}).set("floats", std::vector<float>{1});
  const Parsed p(w);
  const GgufMetadata& m = p.metadata();
  EXPECT_EQ(io_error([&] { m.get_u64("f"); }),
            "m.gguf: key 'f' is f32 1.5; an integer that is not negative would be right");
  EXPECT_EQ(io_error([&] { m.get_u64("i"); }),
            "m.gguf: key 'i' is i32 -3; an integer that is not negative would be right");
  EXPECT_EQ(io_error([&] { m.get_f64("s"); }),
            "m.gguf: key 's' is string 'text'; a number would be right");
  EXPECT_EQ(io_error([&] { m.get_bool("u"); }), "m.gguf: key 'u' is u32 1; a bool would be right");
  EXPECT_EQ(io_error([&] { m.get_string("b"); }),
            "m.gguf: key 'b' is bool true; a string would be right");
  EXPECT_EQ(io_error([&] { m.get_strings("floats"); }),
            "m.gguf: key 'floats' is array of 1 f32; an array of strings would be right");
  EXPECT_EQ(io_error([&] { m.get_i64s("floats"); }),
            "m.gguf: key 'floats' is array of 1 f32; an array of integers would be right");
  EXPECT_EQ(io_error([&] { m.get_i64s("big"); }),
            "m.gguf: key 'big' is array of 2 u64; an array of integers would be right");
  EXPECT_EQ(io_error([&] { m.get_f32s("strings"); }),
            "m.gguf: key 'strings' is array of 1 string; an array of numbers would be right");
}

TEST(Gguf, NestedArraysArePassedOver) {
  GgufWriter w;
  ByteBuffer nested;  // [[1, 2], ["x"]]
  nested.put(9U).put(std::uint64_t{2});
  nested.put(4U).put(std::uint64_t{2}).put(1U).put(2U);
  nested.put(8U).put(std::uint64_t{1}).put_string("x");
  w.set_raw("nested", 9, nested.bytes()).set("after", 5U);
  const Parsed p(w);
  EXPECT_THAT(p.metadata().get_u64("after"), Optional(5U));
  EXPECT_EQ(io_error([&] { p.metadata().get_i64s("nested"); }),
            "m.gguf: key 'nested' is array of 2 array; an array of integers would be right");
}

TEST(Gguf, TensorsHaveTheirShapeOutermostFirstAndTheirBytes) {
  const Parsed p(small_gguf());
  ASSERT_EQ(p.file->tensors().size(), 3U);
  const TensorEntry* q = p.file->find("blk.0.attn_q.weight");
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(q, &p.file->tensors()[1]);
  EXPECT_EQ(q->dtype, DType::kQ4_1);
  EXPECT_THAT(q->shape, ElementsAre(2, 32));
  const std::vector<std::byte> expected = random_blocks(DType::kQ4_1, 64, 2);
  const auto* data = static_cast<const std::byte*>(q->data);
  EXPECT_EQ(std::vector(data, data + q->bytes), expected);
  EXPECT_EQ(p.file->find("blk.0.attn_k.weight"), nullptr);
  EXPECT_EQ(p.file->describe("blk.0.attn_q.weight"), "m.gguf");
}

TEST(Gguf, KnowsEverySupportedTensorType) {
  GgufWriter w;
  const std::vector<DType> types = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0,
                                    DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                                    DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};
  for (const DType type : types) {
    w.tensor(dtype_info(type).name, {3, 1, 512}, type, random_blocks(type, 3 * 512, 9));
  }
  const Parsed p(w);
  for (const DType type : types) {
    const TensorEntry* entry = p.file->find(dtype_info(type).name);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->dtype, type);
    EXPECT_THAT(entry->shape, ElementsAre(3, 1, 512));
    EXPECT_EQ(entry->bytes, 3 * row_bytes(type, 512));
  }
}

TEST(Gguf, FollowsTheAlignmentKey) {
  for (const std::uint32_t alignment : {8U, 16U, 64U, 4096U}) {
    GgufWriter w;
    w.alignment(alignment).tensor("a", {1}, std::vector<float>{1});
    w.tensor("b", {1}, std::vector<float>{2});
    const Parsed p(w);
    EXPECT_EQ(*static_cast<const float*>(p.file->find("b")->data), 2) << alignment;
    const auto distance = static_cast<const std::byte*>(p.file->find("b")->data) -
                          static_cast<const std::byte*>(p.file->find("a")->data);
    EXPECT_EQ(distance, alignment);
  }
}

TEST(Gguf, ReadsVersion2AndFilesWithoutTensors) {
  EXPECT_EQ(Parsed(small_gguf().version(2)).file->tensors().size(), 3U);
  GgufWriter vocabulary;
  vocabulary.set("general.architecture", "llama");
  EXPECT_TRUE(Parsed(vocabulary).file->tensors().empty());
  EXPECT_TRUE(Parsed(GgufWriter()).metadata().entries().empty());
}

TEST(Gguf, AllowsGapsAndAnyOrder) {
  GgufWriter w = small_gguf();
  std::swap(w.infos()[0], w.infos()[2]);
  w.infos().erase(w.infos().begin() + 1);
  const Parsed p(w);
  ASSERT_EQ(p.file->tensors().size(), 2U);
  EXPECT_EQ(p.file->tensors()[0].name, "output_norm.weight");
}

TEST(Gguf, OpensAFileThatItKeepsMapped) {
  const TempFolder folder;
  small_gguf().write(folder / "m.gguf");
  const auto file = GgufFile::open(folder / "m.gguf");
  std::filesystem::remove(folder / "m.gguf");
  EXPECT_EQ(file->describe("x"), (folder / "m.gguf").string());
  EXPECT_THAT(file->metadata().get_string("general.name"), Optional(std::string_view("small")));
  EXPECT_EQ(*static_cast<const float*>(file->find("token_embd.weight")->data),
            random_values(96, 1)[0]);
}

}  // namespace
}  // namespace varve
