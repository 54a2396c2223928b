// `varve eval` on a small model: everything that it writes, going on where it was, and what it says
// of mistakes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/cli/eval_folder.h"

namespace varve {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::EndsWith;
using testing::Gt;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

class Eval : public EvalFolder {};

TEST_F(Eval, AWholeRun) {
  const Ended ended = run();
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, AllOf(StartsWith("varve: eval: 0 of 12 samples are there already\n"),
                               HasSubstr("varve: 12/12 samples")));
  const std::string table = read("out/table.md");
  EXPECT_THAT(ended.out, AllOf(StartsWith(table), EndsWith("results: out\n")));
  EXPECT_THAT(table, AllOf(HasSubstr("| read tok/s |"), HasSubstr("| snapkv {window=8} |")));
  EXPECT_EQ(lines_of(read("out/table.csv")), 1U + 6U);
  EXPECT_EQ(lines_of(read("out/samples.jsonl")), 12U);
  EXPECT_THAT(read("out/plot.svg"), AllOf(StartsWith("<svg "), HasSubstr(">pass_key, 512 tokens<"),
                                          HasSubstr(">snapkv {window=8}<"), EndsWith("</svg>\n")));
  const auto json = result();
  EXPECT_EQ(json["run"]["name"], "eval");
  EXPECT_EQ(json["config"]["samples"], 2);
  ASSERT_THAT(json["cells"], SizeIs(6));
  for (const auto& cell : json["cells"]) {
    EXPECT_EQ(cell["samples"], 2);
    EXPECT_GT(cell["tokens_per_second"], 0.0);
    EXPECT_GT(cell["read_tokens_per_second"], 0.0);
    EXPECT_GE(cell["kv_peak_bytes"], cell["kv_after_bytes"]);
  }
  // Both prompts take their length but for a few tokens, and half of the rows stay.
  const auto all = samples();
  const int rows = all.at("pass_key 512 full all 0").at("document_tokens");
  EXPECT_EQ(all.at("pass_key 512 h2o 50% 0").at("kept_rows"), rows / 2);
  EXPECT_FALSE(fs::exists(folder_ / "out/verdict.json"));
}

TEST_F(Eval, WhatIsThereIsNotDoneAgain) {
  ASSERT_EQ(run().code, 0);
  const std::string log = read("out/samples.jsonl");
  const std::string table = read("out/table.md");
  fs::remove(folder_ / "out/table.md");
  const Ended again = run();
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("12 of 12 samples are there already"));
  EXPECT_EQ(read("out/samples.jsonl"), log);
  EXPECT_EQ(read("out/table.md"), table);

  const Ended more = run("--set samples=3");
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("12 of 18 samples are there already"));
  EXPECT_THAT(read("out/samples.jsonl"), StartsWith(log));
  EXPECT_THAT(samples(), SizeIs(18));

  // Fewer are a part of them, other settings are others.
  EXPECT_THAT(run("--set samples=1").err, HasSubstr("6 of 6 samples are there already"));
  EXPECT_THAT(run("--set prefill.chunk=100 --ranks 2").err, HasSubstr("12 of 12 samples"));
  EXPECT_THAT(run("--set seed=2 --set samples=1").err, HasSubstr("0 of 6 samples"));
}

TEST_F(Eval, WhatWasCutOffIsDoneAgain) {
  ASSERT_EQ(run().code, 0);
  const auto whole = samples();
  const std::string log = read("out/samples.jsonl");
  write("out/samples.jsonl", log.substr(0, log.size() - 40));
  const Ended ended = run();
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("11 of 12 samples are there already"));
  EXPECT_EQ(samples(), whole);
  const std::string others = log.substr(0, log.rfind('\n', log.size() - 2) + 1);
  EXPECT_THAT(read("out/samples.jsonl"), StartsWith(others));
}

TEST_F(Eval, AnotherMatrixFindsTheSamplesItShares) {
  ASSERT_EQ(run().code, 0);
  write_eval("policies: [knorm, h2o]\nbudgets: [50%, 25%]\n");
  EXPECT_THAT(run().err, HasSubstr("4 of 16 samples are there already"));
  EXPECT_THAT(result()["cells"], SizeIs(8));
}

TEST_F(Eval, TheExampleRuns) {
  const Ended ended = run_varve(
      fmt::format("eval {}/configs/eval/quick.yaml --threads 1 --set model={} --set text={} "
                  "--set chat.template=raw --output {}",
                  VARVE_SOURCE_DIR, path("m.gguf"), path("t.txt"), path("out")));
  ASSERT_EQ(ended.code, 0) << ended.err;
  // Two tasks, two lengths, the full cache and six policies with two budgets.
  EXPECT_THAT(result()["cells"], SizeIs(2 * 2 * 13));
  EXPECT_THAT(read("out/table.md"), HasSubstr("guided {scope=global, rows=128}"));
}

// The same figures whatever the ranks, the chunk and the policies at a time; and what was planned
// for the caches is never less than what they took, nor much more.
TEST_F(Eval, BytesAreAtMostThePlannedOnes) {
  write_eval(
      "policies:\n"
      "  - full\n"
      "  - {preset: streaming_llm, compaction: {rows: 64}}\n"
      "  - h2o\n"
      "  - tova\n"
      "  - {preset: snapkv, scorer: {window: 8}, compaction: after_question}\n"
      "  - {preset: zigzagkv, scorer: {window: 8}}\n"
      "  - {preset: expected_attention, scorer: {future: 16}}\n"
      "  - {preset: scope_slide, decode: {heavy: 2, recent: 2}}\n"
      "  - {preset: keydiff, positions: compact}\n"
      "  - {preset: h2o, positions: compact}\n"
      "  - {preset: guided, keep: {last: 8}, compaction: {rows: 64}}\n"
      "  - {preset: guided, keep: {last: 8}, compaction: {rows: 64}, scorer: {scope: global}}\n"
      "  - {preset: guided, keep: {last: 8}, compaction: {rows: 64}, scorer: {encode: local}}\n"
      "budgets: [50%, 120]\n");
  std::map<std::string, nlohmann::json> whole;
  nlohmann::json receipts;
  int run_number = 0;
  for (const char* how :
       {"--set decode.parallel=1", "--set decode.parallel=3 --ranks 2 --set prefill.chunk=100",
        "--set decode.parallel=3 --ranks 3", "--set decode.parallel=64"}) {
    const std::string out = fmt::format("out{}", run_number++);
    const Ended ended = run(fmt::format("{} --output {}", how, path(out)));
    ASSERT_EQ(ended.code, 0) << how << ": " << ended.err;
    const auto json = result(out + "/eval.json");
    for (const auto& rank : json["run"]["measured"]) {
      const double planned = rank["kv_planned_bytes"];
      const double peak = rank["kv_peak_bytes"];
      EXPECT_LE(peak, planned) << how << ", rank " << rank["rank"];
      EXPECT_GT(peak, 0.8 * planned) << how << ", rank " << rank["rank"];
    }
    auto all = samples(out);
    // With work memory for the rows of a step.
    for (auto& [name, sample] : all) sample.erase("peak_bytes");
    if (whole.empty()) {
      whole = all;
      receipts = json["run"]["receipts"];
    }
    EXPECT_EQ(all, whole) << how;
    EXPECT_EQ(json["run"]["receipts"], receipts) << how;
  }
  ASSERT_THAT(receipts, SizeIs(Gt(0U)));
}

TEST_F(Eval, BytesOfOneStreamWithoutAWholeDocument) {
  write_eval(
      "policies: [{preset: guided, keep: {last: 8}, compaction: {rows: 64}}]\nbudgets: [100]\n");
  const Ended ended = run("--set lengths=[1k,4k]");
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto rank = result()["run"]["measured"][0];
  const double planned = rank["kv_planned_bytes"];
  EXPECT_LE(rank["kv_peak_bytes"], planned);
  EXPECT_GT(rank["kv_peak_bytes"], 0.8 * planned);
  // 4096 rows in three layers, keys and values of 16 halves.
  EXPECT_LT(planned, 3 * 4096 * 2 * 16 * 2);
}

// Each question keeps rows of its own while the document is read.
TEST_F(Eval, BytesOfQuestionsThatKeepTheirOwnRows) {
  write_eval(
      "policies: [{preset: guided, keep: {last: 8}, compaction: {rows: 64}, "
      "scorer: {encode: local}}]\nbudgets: [100]\n");
  const Ended ended = run("--set 'tasks=[{many_questions: {keys: 5}}]' --set lengths=[1k]");
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto rank = result()["run"]["measured"][0];
  const double planned = rank["kv_planned_bytes"];
  EXPECT_LE(rank["kv_peak_bytes"], planned);
  EXPECT_GT(rank["kv_peak_bytes"], 0.7 * planned);
  EXPECT_GT(planned, 5.0 * 3 * 88 * 2 * 16 * 2);
}

// The document fits, but not with so many policies beside it.
TEST_F(Eval, ThatDoesNotFit) {
  write_eval("policies: [full, snapkv, h2o, knorm]\nbudgets: [90%]\nlengths: [2k]\n");
  const std::string small("--memory 1MiB --set prefill.chunk=128 --set samples=1 ");
  const Ended ended = run(small);
  EXPECT_EQ(ended.code, 3);
  EXPECT_THAT(ended.err,
              AllOf(HasSubstr("varve: rank 0 needs "),
                    HasSubstr("rows of a document and of 4 policies at a time "
                              "(decode.parallel), and it may use 1 MiB (cluster.memory); "
                              "take fewer at a time, more ranks or shorter lengths\n")));
  EXPECT_FALSE(fs::exists(folder_ / "out/table.md"));
  const Ended one = run(small + "--set decode.parallel=1 --set policies=[full,knorm]");
  EXPECT_EQ(one.code, 0) << one.err;
}

// --- mistakes ---

TEST_F(Eval, EveryMistakeOfTheFileWithItsPlace) {
  write("eval.yaml",
        "model: none.gguf\n"
        "text: t.txt\n"
        "tasks: [pass_kee, {multi_key: {keys: 99}}]\n"
        "lengths: [12, 4q]\n"
        "policies: [snapvk, {preset: h2o, scorer: {wimdow: 3}}]\n"
        "budgets: [half]\n"
        "sample: 3\n");
  for (const char* verb : {"eval", "validate"}) {
    const Ended ended = run("", verb);
    EXPECT_EQ(ended.code, 2);
    EXPECT_THAT(
        ended.err,
        AllOf(HasSubstr("eval.yaml:1:1: model: none.gguf: no such file"),
              HasSubstr("eval.yaml:3:9: tasks.0: "), HasSubstr("did you mean 'pass_key'?"),
              HasSubstr("eval.yaml:3:32: tasks.1.multi_key.keys: must be between 2 and 32, is 99"),
              HasSubstr("eval.yaml:4:11: lengths.0: must be a number of tokens between 64 and "
                        "16777216, which may be written 4k (4096) or 1M, is '12'"),
              HasSubstr("eval.yaml:6:11: budgets.0: "),
              HasSubstr("eval.yaml:7:1: unknown key 'sample'; did you mean 'samples'?")));
  }
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(Eval, PoliciesThatDoNotExist) {
  write_eval("policies: [snapvk, {preset: h2o, scorer: {wimdow: 3}}]\nbudgets: [50%]\n");
  EXPECT_THAT(run().err,
              AllOf(HasSubstr("eval.yaml:7:12: policies.0: "), HasSubstr("did you mean 'snapkv'?"),
                    HasSubstr("eval.yaml:7:43: policies.1.scorer: unknown key 'wimdow'; known: "
                              "normalise")));
}

TEST_F(Eval, LengthsThatCannotBe) {
  const Ended longer = run("--set lengths=[4k]");
  EXPECT_EQ(longer.code, 2);
  EXPECT_THAT(longer.err, HasSubstr("lengths: 4096 tokens are more than the context of small, "
                                    "2048, and policy full all does not go beyond it"));
  const Ended validated = run("--set lengths=[4k]", "validate");
  EXPECT_EQ(validated.code, 2);
  EXPECT_THAT(validated.err, HasSubstr("eval.yaml: lengths: 4096 tokens are more"));
  const Ended shorter = run("--set lengths=[100]");
  EXPECT_EQ(shorter.code, 2);
  EXPECT_THAT(shorter.err, HasSubstr("100 tokens are too few for pass_key: its question and answer "
                                     "take "));
  write("t.txt", "A short text. It has words.\n");
  const Ended text = run();
  EXPECT_EQ(text.code, 2);
  EXPECT_THAT(text.err, HasSubstr("t.txt: has about "));
}

TEST_F(Eval, ABudgetThatTheWindowTakesUp) {
  write_eval("policies: [snapkv]\nbudgets: [2%]\n");
  const Ended ended = run();
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err,
              HasSubstr("lengths: 512: policy snapkv 2%: 2% of a document of 512 tokens, "
                        "10 rows, must be more than those that are kept in any case"));
}

TEST_F(Eval, AChunkThatIsTooSmallForAScore) {
  const Ended ended = run("--set prefill.chunk=40");
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("prefill.chunk: 40 rows are too few for random_words"));
}

TEST_F(Eval, AJobIsNoEvaluationNorTheOtherWayRound) {
  for (const char* verb : {"run", "plan"}) {
    const Ended ended = run("", verb);
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.err,
              "varve: eval.yaml: has tasks, so it is an evaluation and not a job: varve eval "
              "eval.yaml\n");
  }
  EXPECT_EQ(run("", "validate").out, "eval.yaml: no problem found\n");
  write("eval.yaml", "model: m.gguf\ndocument: t.txt\nquestions: [What]\n");
  const Ended ended = run();
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.err,
            "varve: eval.yaml: has no tasks, but what a job has: varve run eval.yaml; configs/eval "
            "has examples of evaluations\n");
}

TEST_F(Eval, OutputThatCannotBeWritten) {
  write("file", "x");
  const Ended folder = run("--output " + path("file"));
  EXPECT_EQ(folder.code, 2);
  EXPECT_THAT(folder.err, HasSubstr("file: the output folder cannot be made: Not a directory; "
                                    "choose another output.dir\n"));
  fs::create_directories(folder_ / "taken/samples.jsonl");
  const Ended taken = run("--output " + path("taken"));
  EXPECT_EQ(taken.code, 2);
  EXPECT_THAT(taken.err, HasSubstr("taken/samples.jsonl: "));
  fs::create_directories(folder_ / "other");
  write("other/samples.jsonl", "{\"id\": \"q1\"}\n");
  const Ended other = run("--output " + path("other"));
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("other/samples.jsonl:1: is no result of an evaluation ("),
                               HasSubstr("choose another output.dir, or remove the file\n")));
  EXPECT_EQ(read("other/samples.jsonl"), "{\"id\": \"q1\"}\n");
}

}  // namespace
}  // namespace varve
