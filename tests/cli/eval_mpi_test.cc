// `varve eval` under mpirun: the figures of one rank, to the last bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/eval_folder.h"

namespace varve {
namespace {

class EvalMpi : public EvalFolder {};

TEST_F(EvalMpi, TheSameFiguresOnAnyNumberOfRanks) {
  write_eval(
      "policies:\n"
      "  - full\n"
      "  - h2o\n"
      "  - {preset: snapkv, scorer: {window: 8}, compaction: after_question}\n"
      "  - {preset: zigzagkv, scorer: {window: 8}}\n"
      "  - {preset: guided, keep: {last: 8}, compaction: {rows: 64}}\n"
      "  - {preset: guided, keep: {last: 8}, compaction: {rows: 64}, scorer: {scope: global}}\n"
      "  - {preset: guided, keep: {last: 8}, compaction: {rows: 64}, scorer: {encode: local}}\n"
      "budgets: [25%]\n"
      "decode: {parallel: 3}\n");
  ASSERT_EQ(run("--output " + path("one")).code, 0);
  const auto one = result("one/eval.json");
  for (const int ranks : {2, 3}) {
    const std::string out = fmt::format("out{}", ranks);
    const Ended ended = run_varve_on(ranks, VARVE_MPI_LAUNCH, arguments("--output " + path(out)));
    ASSERT_EQ(ended.code, 0) << ended.err;
    EXPECT_EQ(samples(out), samples("one")) << ranks << " ranks";
    const auto several = result(out + "/eval.json");
    EXPECT_EQ(several["run"]["receipts"], one["run"]["receipts"]) << ranks << " ranks";
    EXPECT_EQ(several["run"]["measured"].size(), static_cast<std::size_t>(ranks));
    for (std::size_t c = 0; c < one["cells"].size(); ++c) {
      for (const char* key : {"value", "low", "high", "kept_rows", "kv_peak_bytes"}) {
        EXPECT_EQ(several["cells"][c][key], one["cells"][c][key]) << ranks << " ranks, cell " << c;
      }
    }
  }
}

TEST_F(EvalMpi, AMistakeIsSaidOnce) {
  const Ended ended = run_varve_on(2, VARVE_MPI_LAUNCH, arguments("--set lengths=[4k]"));
  EXPECT_EQ(ended.code, 2);
  const std::string said("and policy full all does not go beyond it\n");
  EXPECT_NE(ended.err.find(said), ended.err.npos);
  EXPECT_EQ(ended.err.find(said), ended.err.rfind(said));
}

}  // namespace
}  // namespace varve
