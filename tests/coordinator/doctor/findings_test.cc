#include "coordinator/doctor/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kGib = std::uint64_t{1} << 30U;

MachineFacts healthy(const std::string& host, const std::string& address) {
  MachineFacts facts;
  facts.machine = {.host = host, .devices = {}, .nccl = ""};
  facts.version = "0.1.0";
  facts.mpi = "Open MPI v4.1.4";
  facts.cores = facts.usable_cores = 16;
  facts.memory = 64 * kGib;
  facts.shared_memory = facts.shared_memory_free = 32 * kGib;
  facts.addresses = {{"eth0", address, false}, {"lo", "127.0.0.1", true}};
  return facts;
}

std::vector<MachineFacts> two_hosts() {
  return {healthy("a", "192.0.2.1"), healthy("b", "192.0.2.2")};
}

PairTrial fast() {
  return {.low = 0, .high = 1, .seconds = 1e-6, .bytes_per_second = 5e9, .error = {}};
}

std::vector<Finding> of(const std::vector<MachineFacts>& ranks,
                        const std::vector<PairTrial>& messages,
                        const std::vector<PairTrial>& devices = {}) {
  return find_trouble(ranks, messages, devices);
}

void expect_one(const std::vector<Finding>& found, bool fatal, const std::string& text,
                const std::string& remedy) {
  ASSERT_THAT(found, SizeIs(1)) << (found.size() > 1 ? found[1].text : "nothing found");
  EXPECT_EQ(found[0].fatal, fatal);
  EXPECT_THAT(found[0].text, HasSubstr(text));
  EXPECT_THAT(found[0].remedy, HasSubstr(remedy));
}

TEST(FindTrouble, HealthyHostsHaveNone) {
  EXPECT_THAT(of(two_hosts(), {fast()}), IsEmpty());
  EXPECT_THAT(of({healthy("a", "192.0.2.1")}, {}), IsEmpty());
}

TEST(FindTrouble, VersionsThatDiffer) {
  auto ranks = two_hosts();
  ranks[1].version = "0.2.0";
  expect_one(of(ranks, {}), true,
             "builds of varve differ: rank 0 on a has 0.1.0, rank 1 on b has 0.2.0", "same build");
  ranks = two_hosts();
  ranks[1].mpi = "Open MPI v5.0.3";
  expect_one(of(ranks, {}), true, "MPI libraries differ", "same MPI");
  ranks = two_hosts();
  ranks[0].machine.nccl = "NCCL 2.28.9";
  expect_one(of(ranks, {}), false, "rank 0 on a has NCCL 2.28.9, rank 1 on b has none",
             "through host memory");
  ranks = two_hosts();
  ranks[0].cuda = "driver 12.4, runtime 13.0";
  ranks[1].cuda = "driver 13.0, runtime 13.0";
  expect_one(of(ranks, {}), false, "CUDA versions differ", "driver");
}

TEST(FindTrouble, LittleSharedMemoryOncePerHost) {
  std::vector<MachineFacts> ranks = {healthy("a", "192.0.2.1"), healthy("a", "192.0.2.1")};
  for (MachineFacts& f : ranks) f.shared_memory = f.shared_memory_free = 64U << 20U;
  expect_one(of(ranks, {}), false, "a has 64 MiB free of 64 MiB in /dev/shm", "--shm-size");
  for (MachineFacts& f : ranks) f.shared_memory = f.shared_memory_free = 0;
  expect_one(of(ranks, {}), false, "a has no /dev/shm", "NCCL_SHM_DISABLE=1");
}

TEST(FindTrouble, ARankBoundToFewCores) {
  auto ranks = two_hosts();
  ranks[1].usable_cores = 1;
  expect_one(of(ranks, {}), false, "rank 1 on b is bound to 1 of 16 cores; its share would be 16",
             "--bind-to none");
  // Two ranks of a host share its cores.
  std::vector<MachineFacts> shared = {healthy("a", "192.0.2.1"), healthy("a", "192.0.2.1")};
  shared[0].usable_cores = shared[1].usable_cores = 8;
  EXPECT_THAT(of(shared, {}), IsEmpty());
}

TEST(FindTrouble, TheSameAddressOnTwoHosts) {
  auto ranks = two_hosts();
  for (MachineFacts& f : ranks) f.addresses.push_back({"docker0", "172.17.0.1", false});
  expect_one(of(ranks, {}), false, "a and b both have the address 172.17.0.1 (docker0)",
             "NCCL_SOCKET_IFNAME");
}

TEST(FindTrouble, ExchangesThatFailOrAreSlow) {
  PairTrial slow = fast();
  slow.bytes_per_second = 12e6;
  expect_one(of(two_hosts(), {slow}), false, "rank 0 on a and rank 1 on b exchange 12 MB/s",
             "btl_tcp_if_include");
  expect_one(of(two_hosts(), {fast()}, {slow}), false, "12 MB/s over NCCL", "NCCL_SOCKET_IFNAME");
  PairTrial failed = fast();
  failed.error = "no route to host";
  expect_one(of(two_hosts(), {fast()}, {failed}), true,
             "rank 0 on a and rank 1 on b cannot exchange over NCCL: no route to host",
             "rank 0 on a has eth0 (192.0.2.1)");
}

TEST(FindTrouble, WhatIsFatalComesFirst) {
  auto ranks = two_hosts();
  ranks[1].usable_cores = 1;
  PairTrial failed = fast();
  failed.error = "broken";
  const auto found = of(ranks, {failed});
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_TRUE(found[0].fatal);
  EXPECT_FALSE(found[1].fatal);
}

TEST(DoctorReport, SaysAllOfIt) {
  auto ranks = two_hosts();
  ranks[0].machine.devices = {{"0", "NVIDIA H100", 80 * kGib}};
  ranks[0].machine.nccl = ranks[1].machine.nccl = "NCCL 2.28.9";
  ranks[0].cuda = "driver 13.0, runtime 13.0";
  ranks[0].settings = {"NCCL_DEBUG=INFO"};
  PairTrial failed = fast();
  failed.error = "broken";
  const std::vector<PairTrial> messages = {fast()};
  const std::vector<PairTrial> devices = {failed};
  const std::vector<Finding> findings = {{true, "a cable is out", "put it in"}};
  const std::string text = doctor_report(ranks, messages, devices, findings);
  for (const char* part :
       {"rank 0 on a\n  16 of 16 cores, 64 GiB of memory, /dev/shm 32 GiB free of 32 GiB\n",
        "network: eth0 (192.0.2.1)\n", "NVIDIA H100 (80 GiB)\n", "no GPU\n",
        "varve 0.1.0; Open MPI v4.1.4; CUDA driver 13.0, runtime 13.0; NCCL 2.28.9\n",
        "  NCCL_DEBUG=INFO\n", "over MPI\n", "0 - 1      1.0 us   5.00 GB/s\n",
        "from GPU to GPU over NCCL 2.28.9\n", "0 - 1  failed\n",
        "error: a cable is out\n  put it in\n"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(doctor_report(ranks, {}, {}, {}), HasSubstr("nothing wrong was found\n"));
}

}  // namespace
}  // namespace varve
