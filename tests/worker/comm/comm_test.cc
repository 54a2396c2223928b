// What needs no ranks: placement, detection of a launcher, names of tags.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "common/host_name.h"
#include "worker/comm/communicator_base.h"
#include "worker/comm/mpi_communicator.h"
#include "worker/comm/placement.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

TEST(Placement, CountsTheRanksOfEachHost) {
  const std::vector<std::string> hosts{"b", "a", "b", "b", "c", "a"};
  const auto placements = place(hosts);
  const std::vector<std::pair<int, int>> expected{{0, 3}, {0, 2}, {1, 3}, {2, 3}, {0, 1}, {1, 2}};
  ASSERT_EQ(placements.size(), expected.size());
  for (std::size_t r = 0; r < hosts.size(); ++r) {
    EXPECT_EQ(placements[r].host, hosts[r]);
    EXPECT_EQ(placements[r].local_rank, expected[r].first) << "rank " << r;
    EXPECT_EQ(placements[r].local_size, expected[r].second) << "rank " << r;
  }
  EXPECT_TRUE(place({}).empty());
}

std::optional<Launch> detect(const std::map<std::string, std::string>& environment) {
  return detect_launch([&](const char* name) -> const char* {
    const auto entry = environment.find(name);
    return entry == environment.end() ? nullptr : entry->second.c_str();
  });
}

void expect_launch(const std::map<std::string, std::string>& environment, std::string_view variable,
                   int size, int rank) {
  const auto launch = detect(environment);
  ASSERT_TRUE(launch.has_value()) << variable;
  EXPECT_EQ(launch->variable, variable);
  EXPECT_EQ(launch->size, size);
  EXPECT_EQ(launch->rank, rank);
}

TEST(DetectLaunch, ReadsWhatTheLaunchersSet) {
  EXPECT_FALSE(detect({}).has_value());
  expect_launch({{"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "3"}}, "OMPI_COMM_WORLD_SIZE", 4, -1);
  expect_launch({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "2"}},
                "OMPI_COMM_WORLD_SIZE", 4, 2);
  expect_launch({{"PMI_SIZE", "2"}, {"PMI_RANK", "0"}}, "PMI_SIZE", 2, 0);
  expect_launch({{"SLURM_STEP_NUM_TASKS", "8"}, {"SLURM_PROCID", "7"}}, "SLURM_STEP_NUM_TASKS", 8,
                7);
  expect_launch({{"PMIX_RANK", "1"}}, "PMIX_RANK", 0, 1);
  expect_launch({{"PMI_RANK", "x"}}, "PMI_RANK", 0, -1);
  expect_launch({{"OMPI_COMM_WORLD_SIZE", "1"}}, "OMPI_COMM_WORLD_SIZE", 1, -1);
}

TEST(DetectLaunch, IgnoresWhatIsNoSize) {
  for (const char* text : {"", "x", "0", "-2", "4 ", "4x", "99999999999999999999"}) {
    EXPECT_FALSE(detect({{"OMPI_COMM_WORLD_SIZE", text}}).has_value()) << "'" << text << "'";
  }
  // A batch script is told of its allocation, and is not itself one of the ranks.
  EXPECT_FALSE(detect({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).has_value());
}

TEST(Tags, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (int tag = 0; tag < static_cast<int>(Tag::kCount); ++tag) {
    names.insert(tag_name(static_cast<Tag>(tag)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Tag::kCount));
  EXPECT_FALSE(names.contains(tag_name(Tag::kCount)));
}

TEST(WaitedText, SwitchesUnitAtASecond) {
  EXPECT_EQ(waited_text(0ms), "0 ms");
  EXPECT_EQ(waited_text(250ms), "250 ms");
  EXPECT_EQ(waited_text(999ms), "999 ms");
  EXPECT_EQ(waited_text(1000ms), "1.0 s");
  EXPECT_EQ(waited_text(3049ms), "3.0 s");
  EXPECT_EQ(waited_text(125s), "125.0 s");
}

TEST(HostName, IsNotEmpty) {
  EXPECT_FALSE(host_name().empty());
}

}  // namespace
}  // namespace varve
