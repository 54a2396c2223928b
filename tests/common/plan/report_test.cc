#include "common/plan/report.h"

#include <gtest/gtest.h>

#include "common/wire/archive.h"

namespace varve {
namespace {

TEST(RankReport, ArrivesAsItWasSent) {
  RankReport sent;
  sent.rank = 2;
  sent.host = "node-b";
  sent.backend = "cpu (avx2, 4 threads)";
  sent.pinned_cores = {22, 23};
  sent.layers = {7, 15};
  sent.bytes = {1, 2, 3, 4};
  sent.prefill = {5, 6, 7, 8, 9, 10};
  sent.decode = {11, 12, 13, 14, 15, 16};
  sent.traffic = {{"activations", 17, 18}, {"credit", 19, 20}};
  sent.peak_resident_bytes = 21;

  const std::vector<std::byte> bytes = to_bytes(sent);
  const auto got = from_bytes<RankReport>(bytes, "report");
  // Every field has its own value, so equal bytes mean that none was left out or swapped.
  EXPECT_EQ(to_bytes(got), bytes);
  EXPECT_EQ(got.rank, 2U);
  EXPECT_EQ(got.host, "node-b");
  EXPECT_EQ(got.backend, "cpu (avx2, 4 threads)");
  EXPECT_EQ(got.pinned_cores, (std::vector<std::uint32_t>{22, 23}));
  EXPECT_EQ(got.layers, (LayerRange{7, 15}));
  EXPECT_EQ(got.bytes.weights, 1U);
  EXPECT_EQ(got.bytes.kv, 2U);
  EXPECT_EQ(got.bytes.workspace, 3U);
  EXPECT_EQ(got.bytes.channel, 4U);
  EXPECT_EQ(got.prefill.send_ns, 10U);
  EXPECT_EQ(got.decode.steps, 11U);
  ASSERT_EQ(got.traffic.size(), 2U);
  EXPECT_EQ(got.traffic[1].purpose, "credit");
  EXPECT_EQ(got.traffic[1].messages, 20U);
  EXPECT_EQ(got.peak_resident_bytes, 21U);
}

}  // namespace
}  // namespace varve
