// Cache policies on a real model and a real text: however many ranks share the layers, the program
// gives the same answers, keeps the same rows and says so.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "common/io/regular_file.h"
#include "tests/cli/program.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr std::size_t kMostBytes = std::size_t{64} << 20;

struct RealCase {
  std::string name;
  std::size_t bytes;  // of the text, about four for a token
  std::string cache;
  bool evicts_answers = false;
};

void PrintTo(const RealCase& c, std::ostream* out) {
  *out << c.name;
}

struct RunFiles {
  std::vector<json> results;
  json record;
};

class PoliciesOnARealModel : public testing::TestWithParam<RealCase> {
 protected:
  void SetUp() override {
    const char* model = std::getenv("VARVE_SMOLLM2");
    const char* text = std::getenv("VARVE_BIBLE");
    if (model == nullptr || text == nullptr) {
      GTEST_SKIP() << "VARVE_SMOLLM2 and VARVE_BIBLE name the model's file and the text's";
    }
    const std::string whole = read_text_file(text, kMostBytes);
    // Up to the end of a line, so that no letter is cut.
    const std::size_t end = whole.rfind('\n', GetParam().bytes);
    std::ofstream(folder_ / "text.txt", std::ios::binary) << whole.substr(0, end + 1);
    std::ofstream(folder_ / "job.yaml")
        << "model: " << model
        << "\ndocument: text.txt\n"
           "questions: ['And God said', 'Now it came to pass in the days of']\n"
           "sampling: {max_tokens: 64}\nchat: {template: raw}\noutput: {dir: out}\ncache: "
        << GetParam().cache << "\n";
  }

  RunFiles run(int ranks) const {
    const std::string out = (folder_ / ("out" + std::to_string(ranks))).string();
    const std::string arguments = "run " + (folder_ / "job.yaml").string() + " --threads " +
                                  (ranks == 1 ? "2" : "1") + " --set output.dir=" + out;
    const Ended ended = run_varve_on(ranks, VARVE_MPI_LAUNCH, arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    if (ended.code != 0) return {};
    RunFiles run;
    std::ifstream results(out + "/results.jsonl");
    for (std::string line; std::getline(results, line);) run.results.push_back(json::parse(line));
    run.record = json::parse(std::ifstream(out + "/run.json"));
    return run;
  }

  TempFolder folder_;
};

std::map<std::string, json> tokens_of(const RunFiles& run) {
  std::map<std::string, json> tokens;
  for (const json& result : run.results) tokens[result["id"]] = result["tokens"];
  return tokens;
}

// Rows of every layer, of the document a fifth or less; and of the answers if the policy evicts
// there.
void expect_evictions(const json& receipts, bool of_answers) {
  std::map<std::string, std::size_t> layers, seen, kept;
  for (const json& r : receipts) {
    const std::string of = r["rows_of"];
    ++layers[of];
    seen[of] += r["head_rows_seen"].get<std::size_t>();
    kept[of] += r["head_rows_kept"].get<std::size_t>();
  }
  EXPECT_EQ(layers["document"], 30U);
  EXPECT_GT(kept["document"], 0U);
  EXPECT_LE(5 * kept["document"], seen["document"]);
  EXPECT_EQ(layers.contains("question"), of_answers);
  if (!of_answers) return;
  EXPECT_EQ(layers["question"], 30U);
  EXPECT_LT(kept["question"], seen["question"]);
}

void expect_planned(const json& record, bool exact) {
  for (const json& rank : record["ranks"]) {
    const json& peak = rank["bytes"]["kv_peak"];
    if (exact) {
      EXPECT_EQ(peak["actual"], peak["plan"]);
    } else {
      EXPECT_LE(peak["actual"], peak["plan"]);
    }
  }
}

TEST_P(PoliciesOnARealModel, GiveTheSameOnOneRankAndOnSeveral) {
  const RunFiles one = run(1);
  const auto tokens = tokens_of(one);
  ASSERT_EQ(tokens.size(), 2U);
  for (const auto& [id, answer] : tokens) EXPECT_GE(answer.size(), 60U) << id;
  const json& policy = one.record["policy"];
  expect_evictions(policy["receipts"], GetParam().evicts_answers);
  const bool exact = GetParam().name != "zigzagkv";  // whose layers' rows are not known before
  expect_planned(one.record, exact);
  for (const int ranks : {2, 3}) {
    SCOPED_TRACE(ranks);
    const RunFiles several = run(ranks);
    EXPECT_EQ(tokens_of(several), tokens);
    EXPECT_EQ(several.record["policy"], policy);
    ASSERT_EQ(several.record["ranks"].size(), static_cast<std::size_t>(ranks));
    expect_planned(several.record, exact);
  }
}

std::string scope(std::string_view schedule) {
  return "{budget: 20%, policy: {preset: scope_" + std::string(schedule) + ", decode: {" +
         std::string(schedule) + ": {heavy: 8, recent: 8}}}}";
}

INSTANTIATE_TEST_SUITE_P(
    Policies, PoliciesOnARealModel,
    testing::Values(RealCase{"zigzagkv", 8000, "{policy: zigzagkv, budget: 20%}"},
                    RealCase{"guided", 8000,
                             "{budget: 320, policy: {preset: guided, scorer: {guided: {scope: "
                             "global}}, compaction: {per_chunk: {rows: 256}}}}"},
                    RealCase{"scope_slide", 3000, scope("slide"), true},
                    RealCase{"scope_adaptive", 3000, scope("adaptive"), true},
                    RealCase{"scope_discontinuous", 3000, scope("discontinuous"), true}),
    [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace varve
