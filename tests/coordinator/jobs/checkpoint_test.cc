#include "coordinator/jobs/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "tests/support/io_error.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointTest : public testing::Test {
 protected:
  std::string text() const { return read_text_file(path_, 1U << 20U); }
  void replace(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "checkpoint.bin";
  CheckpointFile file_{path_, "a job"};
  std::string reason_;
  const Checkpoint checkpoint_{4096, 2.5, {{std::byte{1}, std::byte{2}}, {}, {std::byte{3}}}};
};

TEST_F(CheckpointTest, ComesBackAsItWas) {
  EXPECT_FALSE(file_.read(reason_));
  EXPECT_EQ(reason_, "");
  file_.write({1, 1, {{}, {}}});
  file_.write(checkpoint_);
  const std::optional<Checkpoint> read = file_.read(reason_);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rows, 4096U);
  EXPECT_EQ(read->seconds, 2.5);
  EXPECT_EQ(read->parts, checkpoint_.parts);
  file_.remove();
  EXPECT_FALSE(file_.read(reason_));
}

TEST_F(CheckpointTest, OneOfAnotherJobIsNoneAndSaysSo) {
  CheckpointFile(path_, "another job").write(checkpoint_);
  EXPECT_FALSE(file_.read(reason_));
  EXPECT_THAT(reason_, HasSubstr("another document"));
}

TEST_F(CheckpointTest, OneOfAnotherVersionIsNoneAndSaysSo) {
  replace("varve checkpoint 1\nwhatever");
  EXPECT_FALSE(file_.read(reason_));
  EXPECT_THAT(reason_, HasSubstr("another version"));
}

TEST_F(CheckpointTest, ADamagedFileIsAnError) {
  file_.write(checkpoint_);
  std::string damaged = text();
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  replace(damaged);
  EXPECT_THAT(io_error([&] { file_.read(reason_); }), HasSubstr("checkpoint.bin: is damaged"));
  damaged.resize(60);
  replace(damaged);
  EXPECT_THAT(io_error([&] { file_.read(reason_); }), HasSubstr("is damaged"));
  replace("something else\n");
  EXPECT_THAT(io_error([&] { file_.read(reason_); }), HasSubstr("is no checkpoint of varve"));
}

}  // namespace
}  // namespace varve
