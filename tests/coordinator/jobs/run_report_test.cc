#include "coordinator/jobs/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/coordinator/jobs/scratch_dir.h"

namespace varve {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

RankReport rank_of(std::uint32_t rank, std::uint64_t busy, std::uint64_t elapsed) {
  RankReport r;
  r.rank = rank;
  r.host = "node-" + std::string(1, static_cast<char>('a' + rank));
  r.backend = "cpu (avx2, 2 threads)";
  r.layers = {15 * rank, 15 * (rank + 1)};
  r.bytes = {.weights = 1000, .kv = 2048, .workspace = 30, .channel = 4};
  r.prefill = {.steps = 7,
               .rows = 3521,
               .elapsed_ns = elapsed,
               .busy_ns = busy,
               .receive_ns = 1'000'000,
               .send_ns = 2'000'000};
  r.traffic = {{"activations", 100 + rank, 7}, {"credit", 8, 1}};
  r.peak_resident_bytes = 5000;
  return r;
}

RunReport sample_report() {
  RunReport report;
  report.versions = {{"varve", "0.1.0"}, {"mpi", "Open MPI 4.1.4"}};
  report.started = "2025-01-02T03:04:05Z";
  report.job_json = R"({"name":"report","seed":7})";
  report.plan_json = R"({"layers":30})";
  report.model = "m.gguf";
  report.model_sha256 = "abc";
  report.document_sha256 = "def";
  report.seed = 7;
  report.prefix_tokens = 3521;
  report.questions = 8;
  report.prefill_seconds = 0.1;
  report.planned_fill = 0.875;
  report.planned = {{.weights = 1000, .kv = 2048, .workspace = 30, .channel = 4},
                    {.weights = 1000, .kv = 4096, .workspace = 30, .channel = 4}};
  report.ranks = {rank_of(0, 90'000'000, 100'000'000), rank_of(1, 60'000'000, 80'000'000)};
  return report;
}

TEST(RunReport, BusyShareIsOfAllRanksTime) {
  const RunReport report = sample_report();
  // 150 ms of work in two times 100 ms.
  EXPECT_DOUBLE_EQ(busy_share(report.ranks, &RankReport::prefill), 0.75);
  EXPECT_DOUBLE_EQ(busy_share(report.ranks, &RankReport::decode), 0);
  EXPECT_DOUBLE_EQ(busy_share({}, &RankReport::prefill), 0);
}

TEST(RunReport, PlanStandsBesideActual) {
  const json j = json::parse(to_json(sample_report()));
  ASSERT_EQ(j["ranks"].size(), 2U);
  const json& rank = j["ranks"][1];
  EXPECT_EQ(rank["rank"], 1);
  EXPECT_EQ(rank["host"], "node-b");
  EXPECT_EQ(rank["backend"], "cpu (avx2, 2 threads)");
  EXPECT_EQ(rank["layers"], json::array({15, 30}));
  EXPECT_EQ(rank["bytes"]["kv_peak"], (json{{"plan", 4096}, {"actual", 2048}}));
  EXPECT_EQ(rank["bytes"]["weights"], (json{{"plan", 1000}, {"actual", 1000}}));
  EXPECT_EQ(rank["bytes"]["workspace"]["actual"], 30);
  EXPECT_EQ(rank["bytes"]["channel"]["actual"], 4);
  EXPECT_EQ(rank["bytes"]["total"], (json{{"plan", 5130}, {"actual", 3082}}));
  EXPECT_EQ(rank["peak_resident_bytes"], 5000);
  EXPECT_EQ(rank["prefill"]["busy_share"], 0.75);
  EXPECT_EQ(rank["prefill"]["elapsed_ms"], 80);
  EXPECT_EQ(rank["prefill"]["wait_receive_ms"], 1);
  EXPECT_EQ(rank["prefill"]["wait_send_ms"], 2);
  EXPECT_EQ(rank["sent"]["activations"], (json{{"bytes", 101}, {"messages", 7}}));
}

TEST(RunReport, SaysWhichCoresARankIsPinnedTo) {
  RunReport report = sample_report();
  report.ranks[1].pinned_cores = {4, 6};
  const json j = json::parse(to_json(report));
  EXPECT_TRUE(j["ranks"][0]["pinned_cores"].is_null());
  EXPECT_EQ(j["ranks"][1]["pinned_cores"], json::array({4, 6}));
}

TEST(RunReport, SumsWhatWasSentByPurpose) {
  const json j = json::parse(to_json(sample_report()));
  EXPECT_EQ(j["sent"]["activations"], (json{{"bytes", 201}, {"messages", 14}}));
  EXPECT_EQ(j["sent"]["credit"], (json{{"bytes", 16}, {"messages", 2}}));
}

TEST(RunReport, PhasesHaveBusyAndBubble) {
  const json j = json::parse(to_json(sample_report()));
  EXPECT_EQ(j["prefill"]["busy_share"], 0.75);
  EXPECT_EQ(j["prefill"]["bubble_share"], 0.25);
  EXPECT_EQ(j["prefill"]["planned_busy_share"], 0.875);
  EXPECT_EQ(j["prefill"]["seconds"], 0.1);
  EXPECT_EQ(j["decode"]["bubble_share"], 0);
}

TEST(RunReport, EchoesInputsAndWhatOthersWrote) {
  RunReport report = sample_report();
  report.cluster_json = "no json \xff";
  const json j = json::parse(to_json(report));
  EXPECT_EQ(j["inputs"]["model_sha256"], "abc");
  EXPECT_EQ(j["inputs"]["document_sha256"], "def");
  EXPECT_EQ(j["inputs"]["seed"], 7);
  EXPECT_EQ(j["inputs"]["prefix_tokens"], 3521);
  EXPECT_EQ(j["versions"]["mpi"], "Open MPI 4.1.4");
  EXPECT_EQ(j["job"]["name"], "report");
  EXPECT_EQ(j["plan"]["layers"], 30);
  EXPECT_EQ(j["cluster"], "no json \xEF\xBF\xBD");
  report.cluster_json.clear();
  EXPECT_TRUE(json::parse(to_json(report))["cluster"].is_null());
}

TEST(RunReport, RankWithoutAPlanHasNone) {
  RunReport report = sample_report();
  report.planned.clear();
  const json j = json::parse(to_json(report));
  EXPECT_TRUE(j["ranks"][0]["bytes"]["kv_peak"]["plan"].is_null());
  EXPECT_EQ(j["ranks"][0]["bytes"]["kv_peak"]["actual"], 2048);
}

TEST(RunReport, IsWrittenWhole) {
  const test::ScratchDir scratch;
  const RunReport report = sample_report();
  write_run_report((scratch / "run.json").string(), report);
  EXPECT_EQ(test::read_text(scratch / "run.json"), to_json(report));
}

TEST(RunReportTable, NamesThePlanOnlyWhereItWasWrong) {
  EXPECT_EQ(
      report_table(sample_report()),
      "rank   layers  prefill busy   decode busy                   weights                   "
      "KV peak\n"
      "   0     0:15          90 %             -                    1000 B                     "
      "2 KiB\n"
      "   1    15:30          75 %             -                    1000 B        2 KiB (plan "
      "4 KiB)\n");
}

}  // namespace
}  // namespace varve
