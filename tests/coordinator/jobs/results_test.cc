#include "coordinator/jobs/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "tests/coordinator/jobs/scratch_dir.h"

namespace varve {
namespace {

using nlohmann::json;
using test::message_of;
using test::read_text;
using test::ScratchDir;

QuestionResult sample_result() {
  return {.id = "q1",
          .question = "What is the pass key?",
          .answer = "It is \"71\".\nSure.",
          .finish_reason = "stop",
          .tokens = {5, 9, 2, 7},
          .timings = {.cache_n = 3521,
                      .prompt_n = 20,
                      .prompt_ms = 400,
                      .predicted_n = 4,
                      .predicted_ms = 160}};
}

TEST(ResultLine, HasAnswerAndTimingsByTheirUsualNames) {
  const std::string line = to_json_line(sample_result());
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const json j = json::parse(line);
  EXPECT_EQ(j["id"], "q1");
  EXPECT_EQ(j["question"], "What is the pass key?");
  EXPECT_EQ(j["answer"], "It is \"71\".\nSure.");
  EXPECT_EQ(j["finish_reason"], "stop");
  EXPECT_EQ(j["tokens"], json::array({5, 9, 2, 7}));
  EXPECT_EQ(j["prompt_tokens"], 3541);
  EXPECT_EQ(j["predicted_tokens"], 4);
  const json& t = j["timings"];
  EXPECT_EQ(t["cache_n"], 3521);
  EXPECT_EQ(t["prompt_n"], 20);
  EXPECT_EQ(t["prompt_ms"], 400);
  EXPECT_EQ(t["prompt_per_token_ms"], 20);
  EXPECT_EQ(t["prompt_per_second"], 50);
  EXPECT_EQ(t["predicted_n"], 4);
  EXPECT_EQ(t["predicted_ms"], 160);
  EXPECT_EQ(t["predicted_per_token_ms"], 40);
  EXPECT_EQ(t["predicted_per_second"], 25);
}

TEST(ResultLine, NothingToTimeIsNullAndNotInfinity) {
  QuestionResult r = sample_result();
  r.timings = {};
  const json t = json::parse(to_json_line(r))["timings"];
  EXPECT_TRUE(t["prompt_per_token_ms"].is_null());
  EXPECT_TRUE(t["predicted_per_second"].is_null());
}

TEST(ResultLine, BytesThatAreNoTextDoNotBreakTheLine) {
  QuestionResult r = sample_result();
  r.answer =
      "a\xff\xfe"
      "b";
  EXPECT_EQ(json::parse(to_json_line(r))["answer"],
            "a\xEF\xBF\xBD\xEF\xBF\xBD"
            "b");
}

TEST(ResultsWriter, EachLineIsThereAtOnce) {
  const ScratchDir scratch;
  const OutputPaths paths = output_paths(scratch.path());
  ResultsWriter writer(paths);
  QuestionResult r = sample_result();
  writer.write(r);
  EXPECT_EQ(read_text(paths.results), to_json_line(r) + "\n");
  r.id = "q2";
  writer.write(r);
  const std::string text = read_text(paths.results);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(ResultsWriter, FullDiskIsAnErrorWithTheReason) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  const ScratchDir scratch;
  const OutputPaths paths = output_paths(scratch.path());
  std::filesystem::create_symlink("/dev/full", paths.results);
  ResultsWriter writer(paths);
  EXPECT_EQ(message_of<IoError>([&] { writer.write(sample_result()); }),
            paths.results.string() + ": cannot be written: No space left on device");
}

TEST(ResultsWriter, FolderThatWentAwayIsAnErrorWithTheReason) {
  const ScratchDir scratch;
  const OutputPaths paths = output_paths(scratch / "gone");
  EXPECT_EQ(message_of<IoError>([&] { ResultsWriter writer(paths); }),
            paths.results.string() + ": cannot be written: No such file or directory");
}

TEST(Shortened, KeepsWhatFits) {
  EXPECT_EQ(shortened("forty-two", 9), "forty-two");
  EXPECT_EQ(shortened("forty-two", 8), "forty-t…");
  EXPECT_EQ(shortened("forty-two", 1), "…");
  EXPECT_EQ(shortened("forty-two", 0), "");
  EXPECT_EQ(shortened("", 5), "");
}

TEST(Shortened, IsOneLine) {
  EXPECT_EQ(shortened("  a\n\n\tb \r\n", 20), "a b");
  EXPECT_EQ(shortened("red\x1b[31m", 20), "red[31m");
  EXPECT_EQ(shortened("a\xE2\x80\xAE"
                      "b",
                      20),
            "ab")
      << "right-to-left override";
}

TEST(Shortened, NeverSplitsACharacterAndCountsWideOnesTwice) {
  EXPECT_EQ(shortened("naïveté", 7), "naïveté");
  EXPECT_EQ(shortened("naïveté", 4), "naï…");
  EXPECT_EQ(shortened("日本語", 6), "日本語");
  EXPECT_EQ(shortened("日本語", 5), "日本…");
  EXPECT_EQ(shortened("日本語", 4), "日…");
  EXPECT_EQ(shortened("e\xCC\x81toile", 6), "e\xCC\x81toile") << "a combining mark is no column";
}

TEST(Shortened, BytesThatAreNoTextAreMarked) {
  EXPECT_EQ(shortened("a\xff"
                      "b",
                      5),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(shortened("a\xE6\x97", 5), "a\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(ResultsTable, HasALinePerQuestionWithinTheWidth) {
  QuestionResult one = sample_result();
  QuestionResult two = sample_result();
  two.id = "a-very-long-identifier";
  two.finish_reason = "length";
  two.answer = std::string(300, 'x');
  two.timings.predicted_ms = 0;
  const std::vector<QuestionResult> results{one, two};
  EXPECT_EQ(results_table(results, 60),
            "id                finish  tokens    tok/s  answer\n"
            "q1                stop         4     25.0  It is \"71\". Sure.\n"
            "a-very-long-ide…  length       4        -  xxxxxxxxxxxxxxxx…\n");
}

TEST(ResultsTable, NarrowTerminalLosesTheAnswerOnly) {
  const std::vector<QuestionResult> results{sample_result()};
  EXPECT_EQ(results_table(results, 10),
            "id  finish  tokens    tok/s  \n"
            "q1  stop         4     25.0  \n");
}

}  // namespace
}  // namespace varve
