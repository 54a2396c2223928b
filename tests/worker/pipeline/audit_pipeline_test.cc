// An audited run: its answers are those of one that is not, and what it tells agrees with the
// receipts and does not depend on stage cut, chunk size and neighbours.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/support/temp_folder.h"
#include "tests/worker/pipeline/policy_cases.h"

namespace varve {
namespace {

std::vector<PolicyCase> cases() {
  std::vector<PolicyCase> all = policy_cases({Budget::Kind::kTokens, 48});
  all.push_back({"full", PolicyConfig{}});
  return all;
}

// What the ranks said, added up; by sequence, and by sequence and layer.
struct Sums {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::uint32_t>> maps;
  std::map<std::uint32_t, std::vector<std::uint32_t>> rows;
  std::map<std::uint32_t, std::vector<std::uint32_t>> layers;
  std::map<std::uint32_t, std::vector<std::int64_t>> attended;
  std::map<std::uint32_t, std::uint32_t> answer_rows;

  bool operator==(const Sums&) const = default;
};

template <class T>
void add(std::vector<T>& sum, const std::vector<T>& part) {
  sum.resize(std::max(sum.size(), part.size()));
  for (std::size_t i = 0; i < part.size(); ++i) sum[i] += part[i];
}

Sums sums_of(const Outcome& outcome) {
  Sums sums;
  for (const auto& [rank, audit] : outcome.audits) {
    for (const KeptMap& map : audit.maps) {
      EXPECT_TRUE(sums.maps.try_emplace({map.sequence, map.layer}, map.rows).second);
    }
    for (const KeptSpans& kept : audit.kept) {
      add(sums.rows[kept.sequence], kept.rows);
      add(sums.layers[kept.sequence], kept.layers);
    }
    for (const Attended& attended : audit.attended) {
      add(sums.attended[attended.sequence], attended.spans);
      const auto [at, fresh] = sums.answer_rows.try_emplace(attended.sequence, attended.rows);
      EXPECT_EQ(at->second, attended.rows) << "on every rank";
    }
  }
  return sums;
}

class AuditedRun : public testing::TestWithParam<PolicyCase> {
 protected:
  void SetUp() override {
    base_ = small_job(GetParam().policy, folder_.path());
    base_.audit = {.span_rows = 8, .cell_rows = 3};
    // As the model is written for each storage.
    query_heads_ = GetParam().policy.storage.name == "float" ? 4 : 2;
  }

  TempFolder folder_;
  PipelineCase base_;
  double query_heads_ = 0;
};

TEST_P(AuditedRun, AnswersTheSameBits) {
  PipelineCase plain = base_;
  plain.audit = {};
  const Outcome expected = run_on_threads(plain, 2);
  const Outcome audited = run_on_threads(base_, 2);
  expect_same(audited, expected, true, true);
  for (const auto& [rank, held] : expected.held) {
    EXPECT_EQ(audited.held.at(rank).peak, held.peak);
  }
  for (const auto& [rank, audit] : expected.audits) {
    EXPECT_TRUE(audit.maps.empty() && audit.attended.empty() && audit.memory.empty());
  }
}

TEST_P(AuditedRun, CutsChunksAndNeighboursChangeNothing) {
  const Sums whole = sums_of(run_on_threads(base_, 1));
  EXPECT_EQ(whole.attended.size(), 4U);
  for (const auto& [ranks, chunk] : {std::pair{1, 1U}, {2, 7U}, {3, 64U}, {5, 512U}}) {
    PipelineCase c = base_;
    c.chunk = chunk;
    c.parallel = static_cast<std::uint32_t>(ranks);
    SCOPED_TRACE(testing::Message() << ranks << " ranks, chunk " << chunk);
    EXPECT_TRUE(sums_of(run_on_threads(c, ranks)) == whole);
  }
}

TEST_P(AuditedRun, CountsAgreeWithTheReceipts) {
  const Outcome outcome = run_on_threads(base_, 2);
  const Sums sums = sums_of(outcome);
  const bool by_question = !sums.rows.contains(0);  // each kept other rows
  std::map<std::uint32_t, std::uint64_t> of_layer;  // of all sequences that a receipt is about
  std::map<std::uint32_t, std::uint64_t> of_sequence;
  for (const auto& [place, rows] : sums.maps) {
    const std::uint64_t sum = std::accumulate(rows.begin(), rows.end(), std::uint64_t{0});
    of_sequence[place.first] += sum;
    if (by_question || place.first == 0) of_layer[place.second] += sum;
  }
  EXPECT_EQ(of_layer.empty(), is_full(base_.policy));
  for (const auto& [layer, rows] : of_layer) {
    EXPECT_EQ(rows, outcome.receipts.at({layer, true}).rows_kept) << "layer " << layer;
  }
  EXPECT_EQ(of_sequence.size(), sums.rows.size());
  for (const auto& [sequence, rows] : sums.rows) {
    EXPECT_EQ(std::accumulate(rows.begin(), rows.end(), std::uint64_t{0}), of_sequence[sequence]);
    for (std::size_t s = 0; s < rows.size(); ++s) {
      const std::uint32_t layers = sums.layers.at(sequence)[s];
      EXPECT_LE(layers, base_.layers);
      EXPECT_EQ(layers == 0, rows[s] == 0);
    }
  }
}

// An answer of nine tokens is sampled from nine rows. Attention is all of the rows held, so the
// document's part is nearly all of it where the document is nearly all of the rows.
TEST_P(AuditedRun, AttentionAddsUp) {
  const Sums sums = sums_of(run_on_threads(base_, 2));
  for (const auto& [sequence, spans] : sums.attended) {
    EXPECT_EQ(sums.answer_rows.at(sequence), base_.answer_tokens);
    const double all =
        static_cast<double>(base_.answer_tokens) * query_heads_ * static_cast<double>(base_.layers);
    const double document =
        static_cast<double>(std::accumulate(spans.begin(), spans.end(), std::int64_t{0})) /
        kAttendedOne;
    EXPECT_LE(document, all * 1.0001);
    EXPECT_GT(document, all * 0.3) << "question of sequence " << sequence;
    if (base_.policy.compaction.name == "after_question") continue;  // its last row read it whole
    if (!sums.rows.contains(0)) continue;
    for (std::size_t s = 0; s < spans.size(); ++s) {
      if (sums.rows.at(0)[s] == 0) {
        EXPECT_EQ(spans[s], 0) << "nothing of span " << s << " is held";
      }
    }
  }
}

TEST_P(AuditedRun, MemoryOverTimeHasThePlannedPeak) {
  const Outcome outcome = run_on_threads(base_, 1);
  const std::vector<MemorySample>& memory = outcome.audits.at(0).memory;
  ASSERT_GT(memory.size(), 5U);
  std::uint64_t highest = 0;
  for (std::size_t i = 0; i < memory.size(); ++i) {
    highest = std::max(highest, memory[i].bytes);
    if (i > 0) {
      EXPECT_GE(memory[i].milliseconds, memory[i - 1].milliseconds);
    }
  }
  EXPECT_EQ(highest, outcome.held.at(0).peak);
}

INSTANTIATE_TEST_SUITE_P(Policies, AuditedRun, testing::ValuesIn(cases()),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace varve
