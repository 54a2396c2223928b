// What loading leaves in memory. Names, shapes and messages are tested with the families.
#include "worker/model/layer_tensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <numeric>
#include <sstream>

#include "common/model/gguf.h"
#include "common/model/safetensors.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/io_error.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr std::size_t kRows = 3000;
constexpr std::size_t kCols = 515;
constexpr std::size_t kBytes = kRows * kCols * sizeof(float);

// Resident bytes of this process's mappings of a file; nothing where the system does not tell.
std::optional<std::size_t> resident_bytes(const std::filesystem::path& file) {
  std::ifstream smaps("/proc/self/smaps");
  if (!smaps) return std::nullopt;
  std::size_t total = 0;
  bool ours = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (!first.ends_with(':')) {
      ours = line.ends_with(file.string());
    } else if (std::size_t kilobytes = 0; ours && first == "Rss:" && words >> kilobytes) {
      total += kilobytes * 1024;
    }
  }
  return total;
}

std::vector<float> numbers() {
  std::vector<float> values(kRows * kCols);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

class Loading : public testing::TestWithParam<ModelSource> {
 protected:
  void SetUp() override {
    const std::array<std::size_t, 2> shape = {kRows, kCols};
    files_.source = GetParam();
    if (GetParam() == ModelSource::kGguf) {
      GgufWriter()
          .set("general.architecture", "llama")
          .tensor("token_embd.weight", {shape[0], shape[1]}, numbers())
          .tensor("output.weight", {shape[0], shape[1]}, numbers())
          .write(path_);
      files_.tensors = GgufFile::open(path_);
    } else {
      SafetensorsWriter()
          .tensor("model.embed_tokens.weight", {shape[0], shape[1]}, numbers())
          .tensor("lm_head.weight", {shape[0], shape[1]}, numbers())
          .write(path_);
      files_.tensors = SafetensorsFile::open(path_);
    }
  }

  // The last row of a table, as the backend reads it.
  static std::vector<float> last_row(Ops& ops, const Weight& table) {
    std::vector<float> row(kCols);
    ops.embed(std::array{static_cast<std::int32_t>(kRows - 1)}, table,
              {row.data(), 1, kCols, kCols});
    return row;
  }
  static std::vector<float> expected_row() {
    const std::vector<float> all = numbers();
    return {all.end() - static_cast<std::ptrdiff_t>(kCols), all.end()};
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "weights";
  ModelFiles files_;
};

TEST_P(Loading, PagesThatTheBackendCopiedAreGivenBack) {
  const auto ops = make_ops("cpu", 2);
  if (!resident_bytes(path_)) GTEST_SKIP() << "no /proc/self/smaps";
  LayerTensors tensors(files_, *ops, std::nullopt);
  for (const char* role : {"token_embd.weight", "output.weight"}) {
    const Weight weight = tensors.matrix(role, kRows, kCols);
    EXPECT_LT(*resident_bytes(path_), kBytes / 10) << role;
    EXPECT_EQ(last_row(*ops, weight), expected_row()) << role;
  }
}

TEST_P(Loading, ATensorMayBeReadAgain) {
  const auto ops = make_ops("cpu", 1);
  for (int i = 0; i < 2; ++i) {
    LayerTensors tensors(files_, *ops, std::nullopt);
    const Weight weight = tensors.matrix("output.weight", kRows, kCols);
    EXPECT_EQ(last_row(*ops, weight), expected_row());
  }
}

TEST_P(Loading, ABackendThatReadsTheFileItselfKeepsItsPages) {
  const auto ops = make_ops("reference", 1);
  LayerTensors tensors(files_, *ops, std::nullopt);
  const Weight weight = tensors.matrix("output.weight", kRows, kCols);
  EXPECT_EQ(weight.storage.bytes(), 0U);
  EXPECT_EQ(last_row(*ops, weight), expected_row());
}

TEST_P(Loading, AFileThatChangedMeanwhileIsAnError) {
  const auto ops = make_ops("cpu", 1);
  LayerTensors tensors(files_, *ops, std::nullopt);
  tensors.matrix("token_embd.weight", kRows, kCols);
  const auto size = std::filesystem::file_size(path_);
  const auto message = [&] {
    return io_error([&] { tensors.matrix("output.weight", kRows, kCols); });
  };
  std::filesystem::resize_file(path_, size / 2);
  EXPECT_EQ(message(),
            fmt::format("{}: was changed while it was in use, it had {} bytes and has {}; "
                        "it must stay as it is",
                        path_.string(), size, size / 2));
  // The size is right again, the bytes are not.
  std::filesystem::resize_file(path_, size);
  EXPECT_THAT(message(), testing::HasSubstr(": was changed while it was in use"));
}

INSTANTIATE_TEST_SUITE_P(Formats, Loading,
                         testing::Values(ModelSource::kGguf, ModelSource::kHuggingFace),
                         [](const auto& test) {
                           return test.param == ModelSource::kGguf ? "gguf" : "safetensors";
                         });

}  // namespace
}  // namespace varve
