// Run by mpirun. Each test has a communicator of its own, so that one which is cancelled or left
// with messages does not reach the next.
#include "worker/comm/mpi_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/host_name.h"
#include "tests/support/mpi_main.h"
#include "tests/worker/comm/communicator_suite.h"
#include "worker/comm/placement.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

class MpiTransport : public testing::TestWithParam<CommunicatorCase> {};

TEST_P(MpiTransport, Does) {
  const auto communicator = mpi_session().communicator(20s);
  if (communicator->size() < GetParam().min_ranks) {
    GTEST_SKIP() << "needs " << GetParam().min_ranks << " ranks";
  }
  GetParam().run(*communicator);
}

INSTANTIATE_TEST_SUITE_P(, MpiTransport, testing::ValuesIn(communicator_cases()),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(MpiSession, KnowsItsPlace) {
  const auto communicator = mpi_session().communicator(20s);
  EXPECT_EQ(communicator->rank(), mpi_session().rank());
  EXPECT_EQ(communicator->size(), mpi_session().size());
  const auto launch = detect_launch();
  ASSERT_TRUE(launch.has_value());
  EXPECT_EQ(launch->size, communicator->size());
  EXPECT_EQ(launch->rank, communicator->rank());
}

TEST(MpiSession, FindsTheRanksOfThisHost) {
  const auto communicator = mpi_session().communicator(20s);
  const auto placements = exchange_placement(*communicator, host_name(), {20s, "host names"});
  for (int r = 0; r < communicator->size(); ++r) {
    const Placement& placement = placements.at(static_cast<std::size_t>(r));
    EXPECT_EQ(placement.host, host_name());
    EXPECT_EQ(placement.local_rank, r);
    EXPECT_EQ(placement.local_size, communicator->size());
  }
}

TEST(MpiSession, KeepsCommunicatorsApart) {
  const auto first = mpi_session().communicator(20s);
  const auto second = mpi_session().communicator(20s);
  const std::vector<std::byte> one(1);
  const std::vector<std::byte> two(2);
  const int next = (first->rank() + 1) % first->size();
  const int previous = (first->rank() + first->size() - 1) % first->size();
  const PendingSend a = first->send(one, next, Tag::kTest);
  const PendingSend b = second->send(two, next, Tag::kTest);
  EXPECT_EQ(second->recv_message(previous, Tag::kTest, {20s, "two"}).size(), 2U);
  EXPECT_EQ(first->recv_message(previous, Tag::kTest, {20s, "one"}).size(), 1U);
  first->wait(a, {20s, "one"});
  second->wait(b, {20s, "two"});
}

}  // namespace
}  // namespace varve
