// Safetensors files and indices that are wrong in one place, and what the error says about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "common/model/safetensors.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/io_error.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

SafetensorsWriter small_file() {
  SafetensorsWriter w;
  w.set("format", "pt").tensor("a", {2, 3}, random_values(6, 1));
  w.tensor("b", {5}, random_values(5, 2), DType::kBF16);
  return w;
}

std::string message(std::span<const std::byte> bytes) {
  return io_error([&] { SafetensorsFile::from_bytes(bytes, "m.safetensors"); });
}

// A file with this header and `size` bytes of data.
std::string message(std::string_view header, std::size_t size = 0) {
  return message(safetensors_bytes(header, std::vector<std::byte>(size)));
}

// A file of 8 bytes of data whose only tensor 't' has this entry.
std::string entry_message(std::string_view entry) {
  return message("{\"t\":" + std::string(entry) + "}", 8);
}

TEST(SafetensorsCorruption, LengthOfTheHeader) {
  std::vector<std::byte> bytes = small_file().bytes();
  const auto with_length = [&](std::uint64_t length) {
    std::memcpy(bytes.data(), &length, sizeof(length));
    return message(bytes);
  };
  EXPECT_EQ(with_length(~std::uint64_t{0}),
            "m.safetensors: byte 0: a header of 18446744073709551615 bytes; at most 100000000 "
            "would be right, so this is no safetensors file or it is corrupt");
  EXPECT_THAT(with_length(100'000'000),
              StartsWith("m.safetensors: byte 8: the header takes 100000000 bytes, but the file "
                         "ends after"));
  EXPECT_THAT(with_length(0), HasSubstr("byte 8: the header begins with ''; '{' would be right"));
  EXPECT_THAT(with_length(20), StartsWith("m.safetensors (header): is not JSON: at line 1"));
}

TEST(SafetensorsCorruption, Header) {
  EXPECT_THAT(message("[]"), HasSubstr("the header begins with '[]'; '{' would be right"));
  EXPECT_THAT(message("{\"a\": nonsense}"), HasSubstr("is not JSON: at line 1, column 8"));
  EXPECT_EQ(message(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                    R"("a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})"),
            "m.safetensors (header): key 'a' stands twice in one object; once would be right");
  EXPECT_THAT(message("{\"a\":" + std::string(100, '[')), HasSubstr("nested deeper than 4 levels"));
}

TEST(SafetensorsCorruption, Entries) {
  EXPECT_EQ(entry_message("5"),
            "m.safetensors: tensor 't': is no object; {dtype, shape, data_offsets} would be right");
  EXPECT_THAT(entry_message(R"({"shape":[2],"data_offsets":[0,8]})"), HasSubstr("has no 'dtype'"));
  EXPECT_THAT(entry_message(R"({"dtype":"F32","data_offsets":[0,8]})"),
              HasSubstr("has no 'shape'"));
  EXPECT_THAT(entry_message(R"({"dtype":"F32","shape":[2]})"), HasSubstr("has no 'data_offsets'"));
  EXPECT_THAT(entry_message(R"({"dtype":7,"shape":[2],"data_offsets":[0,8]})"),
              HasSubstr("'dtype' is no string; 'F32' would be right"));
  EXPECT_THAT(entry_message(R"({"dtype":"Q4","shape":[2],"data_offsets":[0,8]})"),
              HasSubstr("dtype 'Q4' is unknown; F32, F16 or BF16 would be right"));
  const char* const wrong_shape =
      "'shape' is not a list of at most 8 integers that are not negative";
  for (const char* shape : {"2", "[-2]", "[2.0]", "[\"2\"]", "[1,1,1,1,1,1,1,1,2]", "null"}) {
    EXPECT_THAT(
        entry_message(R"({"dtype":"F32","data_offsets":[0,8],"shape":)" + std::string(shape) + "}"),
        HasSubstr(wrong_shape))
        << shape;
  }
}

TEST(SafetensorsCorruption, Offsets) {
  const auto with_offsets = [](const std::string& offsets) {
    return entry_message(R"({"dtype":"F32","shape":[2],"data_offsets":)" + offsets + "}");
  };
  EXPECT_THAT(with_offsets("[0]"), HasSubstr("'data_offsets' is not [begin, end] with begin <="));
  EXPECT_THAT(with_offsets("[8,0]"), HasSubstr("'data_offsets' is not [begin, end] with begin <="));
  EXPECT_THAT(with_offsets("[-8,0]"), HasSubstr("'data_offsets' is not a list"));
  EXPECT_THAT(with_offsets("[0,8.5]"), HasSubstr("'data_offsets' is not a list"));
  EXPECT_EQ(with_offsets("[8,16]"),
            "m.safetensors: tensor 't': 'data_offsets' end at 16, but the file has 8 bytes of "
            "data; it is truncated or corrupt");
  EXPECT_THAT(with_offsets("[0,18446744073709551615]"), HasSubstr("end at 18446744073709551615"));
  EXPECT_THAT(with_offsets("[0,7]"),
              HasSubstr("'data_offsets' span 7 bytes; shape and type F32 take 8"));
}

TEST(SafetensorsCorruption, SizesThatOverflow) {
  EXPECT_THAT(entry_message(R"({"dtype":"F32","shape":[4294967296,4294967296],)"
                            R"("data_offsets":[0,0]})"),
              HasSubstr("the shape multiplies to more than 64 bits can hold"));
  EXPECT_THAT(entry_message(R"({"dtype":"F32","shape":[4611686018427387905],)"
                            R"("data_offsets":[0,4]})"),
              HasSubstr("the shape multiplies to more than 64 bits can hold"));
}

TEST(SafetensorsCorruption, OverlapsAndGaps) {
  const auto two = [](const std::string& a, const std::string& b) {
    const std::string entry = R"({"dtype":"F32","shape":[1],"data_offsets":)";
    return message("{\"a\":" + entry + a + "},\"b\":" + entry + b + "}}", 8);
  };
  EXPECT_EQ(two("[0,4]", "[2,6]"),
            "m.safetensors: tensor 'b': its data overlaps that of tensor 'a'");
  EXPECT_THAT(two("[4,8]", "[4,8]"), HasSubstr("its data overlaps that of tensor"));
  EXPECT_THAT(message(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8),
              HasSubstr("tensor 'a': its data begins at 4, but 0 would be right: the format has no "
                        "gaps"));
  EXPECT_THAT(message(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8),
              HasSubstr("the tensors end at 4, the data at 8; the file is corrupt"));
}

TEST(SafetensorsCorruption, TruncationAtEveryByteIsAnError) {
  const std::vector<std::byte> whole = small_file().bytes();
  ASSERT_NO_THROW(SafetensorsFile::from_bytes(whole, "m.safetensors"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> part(whole.begin(),
                                      whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THAT(message(part), StartsWith("m.safetensors")) << size;
  }
}

// Nothing is asked of the outcome but that it is a file or an IoError.
TEST(SafetensorsCorruption, AFlippedBitInTheHeaderNeverCrashes) {
  std::vector<std::byte> bytes = small_file().bytes();
  const std::size_t header = 8 + small_file().header().size();
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * header; ++bit) {
    const auto mask = static_cast<std::byte>(1 << (bit % 8));
    bytes[bit / 8] ^= mask;
    try {
      const auto file = SafetensorsFile::from_bytes(bytes, "m.safetensors");
      for (const TensorEntry& entry : file->tensors()) {
        const auto* end = static_cast<const std::byte*>(entry.data) + entry.bytes;
        ASSERT_LE(end, bytes.data() + bytes.size());
      }
    } catch (const IoError&) {
      ++refused;
    }
    bytes[bit / 8] ^= mask;
  }
  EXPECT_GT(refused, header);
}

class SafetensorsIndex : public testing::Test {
 protected:
  // The message for this index beside shards one (a) and two (b).
  std::string message(std::string_view index) {
    SafetensorsWriter().tensor("a", {1}, std::vector{1.0F}).write(folder_ / "one.safetensors");
    SafetensorsWriter().tensor("b", {1}, std::vector{2.0F}).write(folder_ / "two.safetensors");
    write_file(folder_ / "index.json", std::as_bytes(std::span(index)));
    std::string text = io_error([&] { SafetensorsFile::open_index(folder_ / "index.json"); });
    const std::string prefix = folder_.path().string() + "/";
    for (auto at = text.find(prefix); at != text.npos; at = text.find(prefix)) {
      text.erase(at, prefix.size());
    }
    return text;
  }

  TempFolder folder_;
};

TEST_F(SafetensorsIndex, WithoutAMap) {
  const char* const expected = "index.json: has no 'weight_map' from tensors to shards";
  for (const char* index : {"{}", "[]", "7", R"({"weight_map":[]})", R"({"weight_map":{}})"}) {
    EXPECT_EQ(message(index), expected) << index;
  }
  EXPECT_THAT(message("{"), StartsWith("index.json: is not JSON"));
}

TEST_F(SafetensorsIndex, NamesThatLeaveTheFolder) {
  for (const std::string name :
       {"../one.safetensors", "/etc/x.safetensors", "sub/one.safetensors", "..\\\\x.safetensors",
        "index.json", "", ".safetensors", "..", "one\\u0000.safetensors"}) {
    EXPECT_THAT(message(R"({"weight_map":{"a":")" + name + "\"}}"),
                MatchesRegex("index.json: weight_map: tensor 'a' is in shard .*; the name of a "
                             ".safetensors file in the same folder would be right"))
        << name;
  }
  EXPECT_THAT(message(R"({"weight_map":{"a":7}})"), HasSubstr("tensor 'a' is in shard number;"));
}

TEST_F(SafetensorsIndex, ThatDisagreesWithTheShards) {
  EXPECT_EQ(message(safetensors_index({{"a", "two.safetensors"}, {"b", "two.safetensors"}})),
            "index.json: weight_map: tensor 'a' is not in shard 'two.safetensors'");
  EXPECT_EQ(message(safetensors_index({{"b", "one.safetensors"}, {"a", "two.safetensors"}})),
            "index.json: weight_map: tensor 'a' is not in shard 'two.safetensors'");
  EXPECT_EQ(message(safetensors_index({{"a", "one.safetensors"}, {"z", "three.safetensors"}})),
            "three.safetensors: no such file");
  EXPECT_EQ(message(R"({"weight_map":{"a":"one.safetensors","a":"two.safetensors"}})"),
            "index.json: key 'weight_map.a' stands twice in one object; once would be right");
}

TEST_F(SafetensorsIndex, WithATensorInTwoShards) {
  SafetensorsWriter().tensor("a", {1}, std::vector{1.0F}).write(folder_ / "three.safetensors");
  EXPECT_EQ(message(safetensors_index({{"a", "one.safetensors"}, {"b", "three.safetensors"}})),
            "three.safetensors: tensor 'a' stands in one.safetensors as well; once would be right");
}

}  // namespace
}  // namespace varve
