#include "worker/service/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kMemory = 80'000'000'000;

MachineDevice gpu(const std::string& id, std::uint64_t memory = kMemory) {
  return {.id = id, .name = "a GPU", .memory = memory};
}

// Ranks of one host that all see the same devices.
std::vector<RankMachine> host(const std::string& name, std::size_t ranks,
                              const std::vector<MachineDevice>& devices) {
  return std::vector<RankMachine>(
      ranks, RankMachine{.host = name, .devices = devices, .nccl = "NCCL 2.28.9"});
}

std::vector<RankMachine> operator+(std::vector<RankMachine> x, const std::vector<RankMachine>& y) {
  x.insert(x.end(), y.begin(), y.end());
  return x;
}

std::string refusal(const std::vector<RankMachine>& machines, const DeviceWish& wish) {
  try {
    choose_devices(machines, wish);
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(ChooseDevices, AutoIsCpuWithoutGpus) {
  const DeviceChoice choice = choose_devices(host("a", 2, {}), {.backend = "auto"});
  EXPECT_EQ(choice.backend, "cpu");
  EXPECT_THAT(choice.devices, IsEmpty());
  EXPECT_EQ(choice.path, RowPath::kHost);
  EXPECT_EQ(choice.memory, std::nullopt);
  EXPECT_EQ(choice.note, "");
}

TEST(ChooseDevices, AutoIsOneGpuForEachRank) {
  const auto machines = host("a", 2, {gpu("0"), gpu("1")}) + host("b", 1, {gpu("0", 1000)});
  const DeviceChoice choice = choose_devices(machines, {.backend = "auto"});
  EXPECT_EQ(choice.backend, "cuda");
  EXPECT_THAT(choice.devices, ElementsAre(0, 1, 0));
  EXPECT_EQ(choice.path, RowPath::kNccl);
  EXPECT_EQ(choice.memory, 1000U);
}

// As Slurm binds them: each rank sees its own alone, as number 0.
TEST(ChooseDevices, TakesWhatALauncherShowsEachRank) {
  const auto machines = host("a", 1, {gpu("x")}) + host("a", 1, {gpu("y")});
  EXPECT_THAT(choose_devices(machines, {.backend = "cuda"}).devices, ElementsAre(0, 0));
}

TEST(ChooseDevices, TheSameIdOnTwoHostsIsTwoDevices) {
  const auto machines = host("a", 1, {gpu("0")}) + host("b", 1, {gpu("0")});
  const DeviceChoice choice = choose_devices(machines, {.backend = "cuda"});
  EXPECT_THAT(choice.devices, ElementsAre(0, 0));
  EXPECT_EQ(choice.path, RowPath::kNccl);
}

TEST(ChooseDevices, AutoSaysWhyItLeavesAGpuAlone) {
  const DeviceChoice choice = choose_devices(host("a", 2, {gpu("0")}), {.backend = "auto"});
  EXPECT_EQ(choice.backend, "cpu");
  EXPECT_EQ(choice.note,
            "backend cpu, since rank 1 has no GPU of its own: a has 2 ranks, and rank 1 sees 1 "
            "GPU");
}

TEST(ChooseDevices, CudaRefusesTwoRanksOnAGpu) {
  EXPECT_EQ(refusal(host("a", 3, {gpu("0"), gpu("1")}), {.backend = "cuda"}),
            "backend cuda: rank 2 has no GPU of its own: a has 3 ranks, and rank 2 sees 2 GPUs; as "
            "many ranks as GPUs would be right, or share_devices: true to let ranks share one, or "
            "backend cpu");
}

TEST(ChooseDevices, SharingSplitsMemoryAndGoesThroughTheHost) {
  const DeviceChoice choice =
      choose_devices(host("a", 3, {gpu("0"), gpu("1")}), {.backend = "cuda:f32", .share = true});
  EXPECT_EQ(choice.backend, "cuda:f32");
  EXPECT_THAT(choice.devices, ElementsAre(0, 1, 0));
  EXPECT_EQ(choice.path, RowPath::kStaged);
  EXPECT_EQ(choice.memory, kMemory / 2);
}

TEST(ChooseDevices, CudaNamesTheRankThatSeesNone) {
  const auto machines = host("a", 1, {gpu("0")}) + host("b", 1, {});
  EXPECT_THAT(refusal(machines, {.backend = "cuda", .share = true}),
              HasSubstr("rank 1 on b sees no GPU that this build can use"));
}

TEST(ChooseDevices, OneRankSendsNothing) {
  EXPECT_EQ(choose_devices(host("a", 1, {gpu("0")}), {.backend = "cuda"}).path, RowPath::kStaged);
}

TEST(ChooseDevices, OtherBackendsTakeNoDevice) {
  const DeviceChoice choice = choose_devices(host("a", 1, {gpu("0")}), {.backend = "cpu:avx2"});
  EXPECT_EQ(choice.backend, "cpu:avx2");
  EXPECT_THAT(choice.devices, IsEmpty());
}

TEST(ChooseDevices, NcclCanBeAskedForAndRefused) {
  const auto two = host("a", 2, {gpu("0"), gpu("1")});
  const auto with = [](std::string_view backend, bool share, RowPath path) {
    return DeviceWish{.backend = backend, .share = share, .path = path};
  };
  EXPECT_EQ(choose_devices(two, with("cuda", false, RowPath::kHost)).path, RowPath::kStaged);
  EXPECT_EQ(choose_devices(two, with("cuda", false, RowPath::kNccl)).path, RowPath::kNccl);
  // NCCL 2.30 takes two ranks of one GPU if it is told to, and says so if not.
  EXPECT_EQ(choose_devices(host("a", 2, {gpu("0")}), with("cuda", true, RowPath::kNccl)).path,
            RowPath::kNccl);
  EXPECT_EQ(refusal(two, with("cpu", false, RowPath::kNccl)),
            "activations: nccl needs backend cuda, and this run's is cpu; auto or host would be "
            "right");
  auto unequal = two;
  unequal[1].nccl = "NCCL 2.27.3";
  EXPECT_EQ(refusal(unequal, with("cuda", false, RowPath::kNccl)),
            "activations: nccl cannot be used: rank 0 has NCCL 2.28.9, rank 1 has NCCL 2.27.3");
  EXPECT_EQ(choose_devices(unequal, {.backend = "cuda"}).path, RowPath::kStaged);
}

}  // namespace
}  // namespace varve
