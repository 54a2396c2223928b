#include "common/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace varve {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;

struct Lines {
  std::vector<std::string> all;
  Log::Sink sink() {
    return [this](std::string_view line) { all.emplace_back(line); };
  }
};

TEST(Log, WritesTimeLevelPrefixAndMessage) {
  Lines lines;
  const Log log(LogLevel::kDebug, lines.sink());
  log.debug("a {}", 1);
  log.with("rank 2").with("stage 1").warning("b");
  log.error("c");
  EXPECT_THAT(lines.all,
              ElementsAre(MatchesRegex("\\[[0-9]+\\.[0-9]+ debug\\] a 1\n"),
                          MatchesRegex("\\[[0-9]+\\.[0-9]+ warning rank 2 stage 1\\] b\n"),
                          MatchesRegex("\\[[0-9]+\\.[0-9]+ error\\] c\n")));
}

TEST(Log, DropsWhatIsBelowItsLevel) {
  Lines lines;
  const Log log(LogLevel::kWarning, lines.sink());
  log.debug("no");
  log.info("no");
  log.write(LogLevel::kInfo, "no");
  log.warning("yes");
  log.error("yes");
  EXPECT_EQ(lines.all.size(), 2U);
  EXPECT_FALSE(log.enabled(LogLevel::kInfo));
}

TEST(Log, KeepsAnEventOnOneLine) {
  Lines lines;
  const Log log(LogLevel::kInfo, lines.sink());
  log.with("a\nb").info("two\nlines, an \x1b[31mescape and {{}} as it is");
  ASSERT_EQ(lines.all.size(), 1U);
  EXPECT_THAT(lines.all[0],
              testing::EndsWith(" a\\nb] two\\nlines, an \\x1b[31mescape and {} as it is\n"));
}

TEST(Log, ThreadsShareOneSink) {
  Lines lines;
  const Log log(LogLevel::kInfo, lines.sink());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 4; ++rank) {
    threads.emplace_back([rank, own = log.with("rank " + std::to_string(rank))] {
      for (int i = 0; i < 100; ++i) own.info("event {} of {}", i, rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lines.all.size(), 400U);
  for (const std::string& line : lines.all) {
    EXPECT_THAT(line, MatchesRegex("\\[[0-9.]+ info rank [0-3]\\] event [0-9]+ of [0-3]\n"));
  }
}

TEST(Log, GoesToStandardErrorByDefault) {
  testing::internal::CaptureStderr();
  Log().info("hello");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), MatchesRegex("\\[[0-9.]+ info\\] hello\n"));
}

}  // namespace
}  // namespace varve
