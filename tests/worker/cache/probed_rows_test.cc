#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/cache/layer_cache.h"

namespace varve {
namespace {

using testing::ElementsAre;

TEST(ProbedRows, KeepsTheScoresOfChosenRowsAndStartsOthersAtZero) {
  Ledger ledger;
  {
    ProbedRows rows(2, 5, ledger);
    EXPECT_EQ(ledger.current(), 2 * 5 * sizeof(float));
    const Matrix all = rows.reset(4);
    for (std::size_t h = 0; h < 2; ++h) {
      for (std::size_t i = 0; i < 4; ++i) all.row(h)[i] = static_cast<float>(10 * h + i + 1);
    }
    rows.keep({{{0, 3}, {1, 2}}});
    EXPECT_EQ(rows.rows(), 2U);
    EXPECT_THAT(rows.values(), ElementsAre(1, 4, 12, 13));
    rows.restart(2, 5);
    EXPECT_THAT(rows.values(), ElementsAre(1, 4, 0, 0, 0, 12, 13, 0, 0, 0));
    rows.part(2, 3).row(1)[0] = 7;
    EXPECT_THAT(rows.values(), ElementsAre(1, 4, 0, 0, 0, 12, 13, 7, 0, 0));
    // Without an eviction in between, what is not kept is counted anew.
    rows.restart(1, 3);
    EXPECT_THAT(rows.values(), ElementsAre(1, 0, 0, 12, 0, 0));
    const std::vector<float> saved = {1, 2, 3, 4};
    rows.restore(saved);
    EXPECT_EQ(rows.rows(), 2U);
  }
  EXPECT_EQ(ledger.current(), 0U);
}

}  // namespace
}  // namespace varve
