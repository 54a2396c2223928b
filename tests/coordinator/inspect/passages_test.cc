#include "coordinator/inspect/passages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(AttendedPassages, APeakTakesNeighboursOfHalfItsShare) {
  const std::vector<double> shares = {9, 1, 4, 8, 5, 3, 0, 2, 0};
  const auto found = attended_passages(shares, 1, 10);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].begin, 2U);
  EXPECT_EQ(found[0].end, 5U);
  EXPECT_EQ(found[0].share, 17);
  EXPECT_EQ(found[1].begin, 5U) << "less than half of the first one's peak";
  EXPECT_EQ(found[2].begin, 7U);
  EXPECT_EQ(found[3].begin, 1U) << "span 0 is left out";
}

TEST(AttendedPassages, AreAtMostEightSpansAndAsManyAsWanted) {
  const std::vector<double> shares(30, 1);
  const auto found = attended_passages(shares, 0, 2);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].end - found[0].begin, 8U);
  EXPECT_EQ(found[0].share, 8);
}

TEST(AttendedPassages, NothingAttendedToIsNoPassage) {
  EXPECT_TRUE(attended_passages(std::vector<double>(5, 0), 0, 3).empty());
  EXPECT_TRUE(attended_passages({}, 3, 3).empty());
}

TEST(LostPassages, LongestOfWhatAllLayersLost) {
  const std::vector<std::uint32_t> layers = {0, 2, 0, 0, 0, 1, 0, 0};
  const LostPassages lost = lost_passages(layers, 4, 2);
  EXPECT_EQ(lost.layers, 4U);
  EXPECT_EQ(lost.count, 3U);
  ASSERT_EQ(lost.longest.size(), 2U);
  EXPECT_EQ(lost.longest[0].begin, 2U);
  EXPECT_EQ(lost.longest[0].end, 5U);
  EXPECT_EQ(lost.longest[1].begin, 6U);
}

TEST(LostPassages, FewerLayersWhereAllLostTooLittle) {
  const std::vector<std::uint32_t> layers = {4, 1, 4, 1, 4, 0, 4};
  const LostPassages lost = lost_passages(layers, 4, 3);
  EXPECT_EQ(lost.layers, 3U);
  EXPECT_EQ(lost.count, 3U);
}

TEST(LostPassages, ButAtLeastHalfOfThem) {
  EXPECT_EQ(lost_passages(std::vector<std::uint32_t>{4, 3, 4}, 4, 3).count, 0U);
  EXPECT_EQ(lost_passages(std::vector<std::uint32_t>{4, 2, 4}, 4, 3).layers, 2U);
  EXPECT_EQ(lost_passages(std::vector<std::uint32_t>{3, 1, 3}, 3, 3).layers, 2U);
  EXPECT_EQ(lost_passages(std::vector<std::uint32_t>{1, 0}, 1, 3).count, 1U);
  EXPECT_EQ(lost_passages({}, 5, 3).count, 0U);
}

}  // namespace
}  // namespace varve
