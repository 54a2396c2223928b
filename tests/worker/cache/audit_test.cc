// What the audit adds up, against softmax written out; its grids and its memory line.
#include "worker/cache/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "common/plan/segment_shape.h"
#include "worker/cache/segment.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr std::size_t kDim = 4;
constexpr std::size_t kQueryHeads = 4;
constexpr std::size_t kKeyHeads = 2;

ModelConfig tiny_model() {
  ModelConfig model;
  model.layers = 3;
  model.q_heads = kQueryHeads;
  model.kv_heads = kKeyHeads;
  model.head_dim = kDim;
  return model;
}

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

class AuditTest : public testing::Test {
 protected:
  // Rows at positions first, first + 1, ...; their keys are random.
  std::unique_ptr<Segment> make_segment(std::int32_t first, std::size_t rows) {
    auto segment = std::make_unique<Segment>(SegmentShape::even(model_, rows, DType::kF32, false),
                                             kDim, *ops_, ledger_);
    keys_ = random_floats(rows * kKeyHeads * kDim, static_cast<unsigned>(first));
    const ConstMatrix k{keys_.data(), rows, kKeyHeads * kDim, kKeyHeads * kDim};
    std::vector<std::int32_t> positions(rows);
    std::iota(positions.begin(), positions.end(), first);
    segment->append(k, k, positions);
    return segment;
  }

  ModelConfig model_ = tiny_model();
  std::unique_ptr<Ops> ops_ = make_ops("cpu", 1);
  Ledger ledger_;
  Audit audit_{model_, {1, 3}, {.span_rows = 4, .cell_rows = 5}, *ops_};
  std::vector<float> keys_;  // of the last segment
};

TEST_F(AuditTest, WhatARowPaysIsItsSoftmax) {
  const auto document = make_segment(0, 10);
  const std::vector<float> document_keys = keys_;
  const auto own = make_segment(10, 3);
  const std::vector<SegmentView> segments = {document->view(), own->view()};
  const std::vector<float> q = random_floats(kQueryHeads * kDim, 99);
  const ConstMatrix query{q.data(), 1, q.size(), q.size()};
  const std::vector<std::int32_t> position = {12};
  const AttendParams params{.q_heads = kQueryHeads, .scale = 0.5F};
  std::vector<float> out(q.size());
  std::vector<float> lse(kQueryHeads);
  const Partial partial{{out.data(), 1, q.size(), q.size()},
                        {lse.data(), 1, kQueryHeads, kQueryHeads}};
  ops_->clear(partial);
  const std::vector<AttendItem> items = {{0, 1, segments[0]}, {0, 1, segments[1]}};
  ops_->attend(query, position, items, params, partial);
  for (const std::size_t layer : {1U, 2U}) {
    audit_.attended({7, layer, 10, segments}, {query, partial.lse, position, {}}, params);
  }

  std::vector<double> expected(3);
  for (std::size_t head = 0; head < kQueryHeads; ++head) {
    std::vector<double> weight;
    for (std::size_t i = 0; i < 13; ++i) {
      const std::vector<float>& keys = i < 10 ? document_keys : keys_;
      const std::size_t row = i < 10 ? i : i - 10;
      double dot = 0;
      for (std::size_t d = 0; d < kDim; ++d) {
        dot += q[head * kDim + d] * keys[(row * kKeyHeads + head / 2) * kDim + d];
      }
      weight.push_back(std::exp(0.5 * dot));
    }
    const double sum = std::accumulate(weight.begin(), weight.end(), 0.0);
    for (std::size_t i = 0; i < 10; ++i) expected[i / 4] += 2 * weight[i] / sum;
  }
  const AuditReport report = audit_.report();
  ASSERT_EQ(report.attended.size(), 1U);
  EXPECT_EQ(report.attended[0].sequence, 7U);
  EXPECT_EQ(report.attended[0].rows, 1U) << "in two layers";
  ASSERT_EQ(report.attended[0].spans.size(), 3U);
  for (std::size_t s = 0; s < 3; ++s) {
    EXPECT_NEAR(static_cast<double>(report.attended[0].spans[s]) / kAttendedOne, expected[s], 1e-5)
        << "span " << s;
  }
}

TEST_F(AuditTest, KeptRowsAreCountedByHeadCellAndSpan) {
  const auto document = make_segment(0, 13);
  document->keep({{{0, 4, 5, 9}, {1, 2, 3, 12}}});
  // Two of the last segment's rows are the document's, one is a question's own.
  const auto rest = make_segment(12, 3);
  rest->keep({{{1, 2}, {0, 2}}});
  const std::vector<SegmentView> segments = {document->view(), rest->view()};
  audit_.kept({0, 1, 14, segments});
  audit_.kept({0, 2, 14, std::span(segments).first(1)});

  const AuditReport report = audit_.report();
  ASSERT_EQ(report.maps.size(), 2U);
  EXPECT_EQ(report.maps[0].layer, 1U);
  EXPECT_THAT(report.maps[0].rows, ElementsAre(2, 2, 1, 3, 0, 2));
  EXPECT_THAT(report.maps[1].rows, ElementsAre(2, 2, 0, 3, 0, 1));
  ASSERT_EQ(report.kept.size(), 1U);
  EXPECT_THAT(report.kept[0].rows, ElementsAre(8, 4, 2, 4));
  EXPECT_THAT(report.kept[0].layers, ElementsAre(2, 2, 2, 2));
}

TEST_F(AuditTest, SpansThatALayerHasNothingOf) {
  const auto document = make_segment(0, 12);
  document->keep({{{0}, {1, 9}}});
  const std::vector<SegmentView> segments = {document->view()};
  audit_.kept({3, 1, 12, segments});
  EXPECT_THAT(audit_.report().kept[0].layers, ElementsAre(1, 0, 1));
  EXPECT_EQ(audit_.report().kept[0].sequence, 3U);
}

TEST(MemoryLine, KeepsThePeakInFewSamples) {
  MemoryLine line(4);
  for (int i = 0; i < 11; ++i) {
    line.add(milliseconds(10 * i), i == 5 ? 500U : static_cast<std::size_t>(i));
  }
  // Four at a time by now.
  ASSERT_EQ(line.samples().size(), 3U);
  EXPECT_EQ(line.samples()[0].bytes, 3U);
  EXPECT_EQ(line.samples()[0].milliseconds, 30U);
  EXPECT_EQ(line.samples()[1].bytes, 500U);
  EXPECT_EQ(line.samples()[1].milliseconds, 70U);
  EXPECT_EQ(line.samples()[2].bytes, 10U);
  EXPECT_EQ(line.samples()[2].milliseconds, 100U);
}

TEST(MemoryLine, SaysAllWhileThereIsRoom) {
  MemoryLine line(4);
  for (int i = 0; i < 4; ++i) line.add(milliseconds(i), static_cast<std::size_t>(9 - i));
  ASSERT_EQ(line.samples().size(), 4U);
  EXPECT_EQ(line.samples()[3].bytes, 6U);
}

TEST(Ledger, TheHighMarkIsOfTheTimeSinceItWasTaken) {
  Ledger ledger;
  ledger.add(10);
  ledger.remove(4);
  EXPECT_EQ(ledger.take_high(), 10U);
  ledger.add(1);
  ledger.remove(2);
  EXPECT_EQ(ledger.take_high(), 7U);
  EXPECT_EQ(ledger.take_high(), 5U);
  EXPECT_EQ(ledger.peak(), 10U);
}

TEST(AuditOrders, GridsFollowTheDocumentAndStayBounded) {
  ModelConfig model = tiny_model();
  model.layers = 30;
  model.kv_heads = 3;
  const AuditOrders few = audit_orders(model, 300, 1, false);
  EXPECT_EQ(few.span_rows, 8U);
  EXPECT_EQ(few.cell_rows, 1U);
  const AuditOrders many = audit_orders(model, 131072, 1000, true);
  EXPECT_LE(grid_size(131072, many.span_rows) * 1001, std::size_t{1} << 21U);
  EXPECT_LE(grid_size(131072, many.cell_rows) * 1001 * 90, std::size_t{1} << 21U);
  const AuditOrders shared = audit_orders(model, 131072, 1000, false);
  EXPECT_EQ(shared.cell_rows, 256U);
  EXPECT_TRUE(audit_orders(model, 0, 1, false)) << "on, whatever there is to see";
}

}  // namespace
}  // namespace varve
