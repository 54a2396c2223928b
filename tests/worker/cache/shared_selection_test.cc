#include "worker/cache/shared_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "worker/policy/guided.h"

namespace varve {
namespace {

using testing::ElementsAre;
using Rows = std::vector<std::uint32_t>;

std::vector<std::int64_t> sums(const std::vector<float>& scores) {
  std::vector<std::int64_t> fixed;
  for (const float score : scores) fixed.push_back(to_fixed(score));
  return fixed;
}

// The rows of a text that are held, by their numbers in it; row i scores `weights[i]`.
class Stream {
 public:
  Stream(SharedSelection::Options options, std::vector<float> weights)
      : selection_(options, exchange_), weights_(std::move(weights)) {}

  void read(std::size_t rows) {
    for (; rows > 0; --rows) held_.push_back(next_++);
  }
  const Rows& evict() {
    const auto sums = scores();
    drop(selection_.next({sums, positions()}));
    return held_;
  }
  const Rows& end(bool probed) {
    const auto sums = scores();
    const auto where = positions();
    std::optional<SharedSelection::Scored> last;
    if (probed) last = {sums, where};
    drop(selection_.last(held_.size(), last));
    return held_;
  }

 private:
  std::vector<std::int64_t> scores() const {
    std::vector<float> of_held;
    for (const std::uint32_t row : held_) of_held.push_back(weights_.at(row));
    return sums(of_held);
  }
  std::vector<std::int32_t> positions() const { return {held_.begin(), held_.end()}; }
  void drop(const std::optional<Rows>& kept) {
    if (!kept) return;
    Rows left;
    for (const std::uint32_t row : *kept) left.push_back(held_.at(row));
    held_ = left;
  }

  OwnScores exchange_;
  SharedSelection selection_;
  std::vector<float> weights_;
  Rows held_;
  std::uint32_t next_ = 0;
};

// Rows 2, 5, 9, 13 stand out.
const std::vector<float> kWeights = {0, 0, 5, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0};

TEST(SharedSelection, KeepsTheBestAndTheProtectedAtOnce) {
  Stream stream({.lag = 0, .kernel = 1, .keep = {.budget = 4, .first = 1, .last = 1}}, kWeights);
  stream.read(4);
  EXPECT_THAT(stream.evict(), ElementsAre(0, 1, 2, 3));  // within the budget
  stream.read(4);
  EXPECT_THAT(stream.evict(), ElementsAre(0, 2, 5, 7));
  stream.read(4);
  EXPECT_THAT(stream.evict(), ElementsAre(0, 2, 9, 11));
  stream.read(4);
  EXPECT_THAT(stream.end(true), ElementsAre(0, 9, 13, 15));
}

// What a selection does not know yet stays; what it protects as last counts from the newest row.
TEST(SharedSelection, ComesLateByItsLag) {
  Stream stream({.lag = 1, .kernel = 1, .keep = {.budget = 4, .first = 1, .last = 1}}, kWeights);
  stream.read(6);
  EXPECT_THAT(stream.evict(), ElementsAre(0, 1, 2, 3, 4, 5));
  stream.read(4);
  EXPECT_THAT(stream.evict(), ElementsAre(0, 2, 4, 5, 6, 7, 8, 9));
  stream.read(4);
  // By the scores of rows 0 to 9, of which 1 and 3 are gone.
  EXPECT_THAT(stream.evict(), ElementsAre(0, 2, 5, 9, 10, 11, 12, 13));
  stream.read(2);
  EXPECT_THAT(stream.end(true), ElementsAre(0, 9, 13, 15));
}

TEST(SharedSelection, EndsByTheNewestScoresAlsoWithoutRowsBehindThem) {
  Stream stream({.lag = 2, .kernel = 1, .keep = {.budget = 3, .first = 0, .last = 0}}, kWeights);
  for (int i = 0; i < 4; ++i) {
    stream.read(4);
    stream.evict();
  }
  EXPECT_THAT(stream.end(false), ElementsAre(2, 9, 13));
}

TEST(SharedSelection, PoolsSumsOverNeighbours) {
  Stream stream({.lag = 0, .kernel = 3, .keep = {.budget = 6, .first = 0, .last = 0}}, kWeights);
  stream.read(16);
  EXPECT_THAT(stream.evict(), ElementsAre(8, 9, 10, 12, 13, 14));
}

TEST(SharedSelection, HeldRowsStayWithinBudgetAndLag) {
  for (const std::size_t lag : {0, 1, 3}) {
    std::vector<float> weights(4000);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<float>((i * 7919) % 1009);
    }
    Stream stream({.lag = lag, .kernel = 5, .keep = {.budget = 50, .first = 4, .last = 8}},
                  weights);
    for (int i = 0; i < 100; ++i) {
      stream.read(40);
      EXPECT_LE(stream.evict().size(), 50 + 40 * lag);
    }
    EXPECT_EQ(stream.end(false).size(), 50U);
  }
}

}  // namespace
}  // namespace varve
