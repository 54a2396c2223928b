// The whole program on the emulated GPU: ranks under mpirun, a GPU for each, in every order that
// the fakes know. The answers are those of the CPU backend.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/io/regular_file.h"
#include "tests/cli/job_folder.h"
#include "tests/support/first_layers.h"

namespace varve {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kLayers = 4;

/// What a run is to be on.
struct Machine {
  int ranks = 1;
  int devices = 1;
  std::string order = "lazy";
};

class OnEmulatedGpu : public JobFolder {
 protected:
  OnEmulatedGpu() {
    small_model({}, kLayers).write(folder_ / "m.gguf");
    write("d.txt",
          "In the beginning God created the heaven and the earth. And the earth was "
          "without form, and void.\n");
    write_job(
        "sampling: {temperature: 0, max_tokens: 8}\n"
        "prefill: {chunk: 32}");
  }

  Ended start(const Machine& m, const std::string& more) const {
    const std::string launch =
        fmt::format("env VARVE_FAKE_ORDER={} VARVE_FAKE_DEVICES={} VARVE_FAKE_DEADLINE=60 {}",
                    m.order, m.devices, VARVE_MPI_LAUNCH);
    return run_varve_on(
        m.ranks, launch,
        "run " + path("job.yaml") + " --threads 1 --set output.overwrite=true " + more);
  }
  std::string answers(const Machine& m, const std::string& more) const {
    const Ended ended = start(m, more);
    EXPECT_EQ(ended.code, 0) << ended.err;
    std::string text;
    std::istringstream lines(read_text_file(path("out/results.jsonl"), 1U << 20U));
    for (std::string line; std::getline(lines, line);) {
      text += nlohmann::json::parse(line).at("answer").get<std::string>() + "|";
    }
    return text;
  }
  nlohmann::json ranks() const {
    return nlohmann::json::parse(read_text_file(path("out/run.json"), 1U << 20U)).at("ranks");
  }
};

TEST_F(OnEmulatedGpu, TheAnswersOfTheCpuOnAnyNumberOfRanks) {
  const std::string expected = answers({}, "--backend cpu");
  ASSERT_GT(expected.size(), 4U);
  for (int n = 1; n <= 4; ++n) {
    EXPECT_EQ(answers({.ranks = n, .devices = n}, "--backend cuda:f32"), expected) << n;
    for (const auto& rank : ranks()) {
      EXPECT_THAT(rank.at("backend").get<std::string>(), HasSubstr("cuda (varve fake device"));
      EXPECT_THAT(rank.at("activations").get<std::string>(),
                  HasSubstr(n == 1 ? "host memory" : "NCCL "));
      EXPECT_EQ(rank.at("bytes").at("weights").at("plan"), rank["bytes"]["weights"]["actual"]);
      EXPECT_EQ(rank["bytes"]["channel"]["plan"], rank["bytes"]["channel"]["actual"]);
      EXPECT_EQ(rank["bytes"]["kv_peak"]["plan"], rank["bytes"]["kv_peak"]["actual"]);
    }
  }
}

TEST_F(OnEmulatedGpu, TheFirstLayersOfARealModel) {
  const char* model = std::getenv("VARVE_SMOLLM2");
  if (model == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
  write_first_layers(model, folder_ / "m.gguf", 3);
  const std::string expected = answers({}, "--backend cpu --set chat.template=auto");
  ASSERT_GT(expected.size(), 4U);
  EXPECT_EQ(answers({.ranks = 3, .devices = 3}, "--backend cuda:f32 --set chat.template=auto"),
            expected);
}

TEST_F(OnEmulatedGpu, InEveryOrder) {
  const std::string expected = answers({}, "--backend cpu");
  for (const char* order : {"eager", "contrary", "random:1", "random:2"}) {
    const Machine machine{.ranks = 3, .devices = 3, .order = order};
    EXPECT_EQ(answers(machine, "--backend cuda:f32"), expected) << order;
  }
}

TEST_F(OnEmulatedGpu, WithoutGraphs) {
  const std::string expected = answers({}, "--backend cpu");
  EXPECT_EQ(
      answers({.ranks = 2, .devices = 2}, "--backend cuda:f32 --set cluster.device_graphs=false"),
      expected);
}

TEST_F(OnEmulatedGpu, ThroughHostMemory) {
  const std::string expected = answers({}, "--backend cpu");
  EXPECT_EQ(
      answers({.ranks = 2, .devices = 2}, "--backend cuda:f32 --set cluster.activations=host"),
      expected);
  EXPECT_EQ(ranks()[1]["activations"], "host memory");
  EXPECT_EQ(
      answers({.ranks = 2, .devices = 1}, "--backend cuda:f32 --set cluster.share_devices=true"),
      expected);
  EXPECT_EQ(ranks()[1]["activations"], "host memory");
}

// Auto takes the GPUs where there is one for each rank, in bfloat16.
TEST_F(OnEmulatedGpu, AutoTakesThemIfThereIsOneForEachRank) {
  EXPECT_GT(answers({.ranks = 2, .devices = 2}, "").size(), 4U);
  EXPECT_THAT(ranks()[0]["backend"].get<std::string>(), HasSubstr("bfloat16"));
  const Ended ended = start({.ranks = 2, .devices = 1}, "");
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.err, HasSubstr("varve: backend cpu, since rank 1 has no GPU of its own: "));
  EXPECT_THAT(ranks()[0]["backend"].get<std::string>(), HasSubstr("cpu ("));
}

TEST_F(OnEmulatedGpu, TooFewGpusAreAnErrorThatSaysWhatWouldHelp) {
  const Ended ended = start({.ranks = 2, .devices = 1}, "--backend cuda");
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("share_devices: true"));
}

TEST_F(OnEmulatedGpu, NcclSaysItselfThatItWantsAGpuForEachRank) {
  const Ended ended =
      start({.ranks = 2, .devices = 1},
            "--backend cuda --set cluster.share_devices=true --set cluster.activations=nccl");
  EXPECT_EQ(ended.code, 5);
  EXPECT_THAT(ended.err, HasSubstr("Duplicate GPU"));
}

TEST_F(OnEmulatedGpu, UnderPolicies) {
  for (const std::string policy : {"streaming_llm", "snapkv", "h2o",
                                   "{preset: guided, keep: {last: 8}, compaction: {rows: "
                                   "32}}"}) {
    const std::string more = "'--set=cache.policy=" + policy + "' --set cache.budget=40%";
    const std::string expected = answers({}, "--backend cpu " + more);
    EXPECT_EQ(answers({.ranks = 2, .devices = 2}, "--backend cuda:f32 " + more), expected)
        << policy;
  }
}

TEST_F(OnEmulatedGpu, DoctorExchangesBetweenThem) {
  const Ended ended =
      run_varve_on(3, fmt::format("env VARVE_FAKE_DEVICES=3 {}", VARVE_MPI_LAUNCH), "doctor");
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("from GPU to GPU over NCCL "));
  EXPECT_THAT(ended.out, HasSubstr("1 - 2"));
}

}  // namespace
}  // namespace varve
