// The program as a user meets it: commands, exit codes, and all that is wrong with a job at once.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/cores.h"
#include "kernels/ops.h"
#include "tests/cli/job_folder.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(CommandLine, HelpNamesTheCommandsAndTheExitCodes) {
  const Ended ended = run_varve("--help");
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, AllOf(HasSubstr("run"), HasSubstr("plan"), HasSubstr("validate"),
                               HasSubstr("5 a rank was lost")));
  EXPECT_THAT(run_varve("run --help").out, AllOf(HasSubstr("--layers"), HasSubstr("--set")));
}

TEST(CommandLine, WrongUseIsTwo) {
  EXPECT_EQ(run_varve("").code, 2);
  EXPECT_EQ(run_varve("runn job.yaml").code, 2);
  EXPECT_EQ(run_varve("run").code, 2);
  EXPECT_EQ(run_varve("run --no-such-option job.yaml").code, 2);
}

TEST(CommandLine, AJobFileThatIsMissing) {
  EXPECT_EQ(run_varve("validate /nowhere/job.yaml").err, "/nowhere/job.yaml: no such file\n");
  for (const char* verb : {"run", "plan"}) {
    const Ended ended = run_varve(std::string(verb) + " /nowhere/job.yaml");
    EXPECT_EQ(ended.code, 2) << verb;
    EXPECT_EQ(ended.err, "varve: /nowhere/job.yaml: no such file\n") << verb;
  }
}

using CommandLineJob = JobFolder;

TEST_F(CommandLineJob, AllProblemsAtOnceWithTheirPlaces) {
  write("job.yaml", "model: nowhere.gguf\ndocument: d.txt\nquestons: [a]\nprefill: {chunk: 0}\n");
  for (const char* verb : {"validate", "run", "plan"}) {
    const Ended ended = run(verb, "--backend cpuu");
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(
        ended.err,
        std::string(verb == std::string_view("validate") ? "" : "varve: ") +
            "job.yaml:1:1: model: nowhere.gguf: no such file\n"
            "job.yaml:1:1: questions: is required\n"
            "job.yaml:3:1: unknown key 'questons'; did you mean 'questions'?; known: name, "
            "model, document, sampling, questions, chat, prefill, decode, cache, output\n"
            "job.yaml:4:11: prefill.chunk: must be between 1 and 65536, is 0\n"
            "--set 'cluster.backend=cpuu': backend: unknown value 'cpuu'; did you mean "
            "'cpu'?; known: auto, cpu, reference, cuda, cuda:f32, cpu:amx, cpu:avx512, cpu:avx2, "
            "cpu:sse4, cpu:neon, cpu:scalar\n");
  }
}

TEST_F(CommandLineJob, PlanAndRun) {
  const Ended plan = run("plan", "--ranks 2");
  EXPECT_EQ(plan.code, 0);
  EXPECT_THAT(plan.out, HasSubstr("2 layers on 2 ranks"));
  EXPECT_THAT(run("plan", "--json").out, HasSubstr("\"layers\""));
  const Ended ended = run("run", "--ranks 2 --set sampling.max_tokens=4");
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_TRUE(std::filesystem::exists(path("out/results.jsonl")));
  EXPECT_TRUE(std::filesystem::exists(path("out/run.json")));
}

TEST_F(CommandLineJob, EveryInstructionSetOfThisMachineCanBeChosen) {
  for (const std::string& name : backends()) {
    if (!name.starts_with("cpu:")) continue;
    const Ended ended = run(
        "run", "--backend " + name + " --set output.overwrite=true --set sampling.max_tokens=2");
    ASSERT_EQ(ended.code, 0) << ended.err;
    std::ifstream file(path("out/run.json"));
    const auto json = nlohmann::json::parse(file);
    EXPECT_EQ(json["ranks"][0]["backend"], "cpu (" + name.substr(4) + ")");
    EXPECT_EQ(json["cluster"]["backend"], name);
  }
}

TEST_F(CommandLineJob, RunJsonSaysWhichCoresEachRankKept) {
  const std::vector<std::uint32_t> cores = allowed_cores();
  const std::size_t count = cores.size() % 2 == 0 ? 2 : 1;
  const std::size_t share = cores.size() / count;
  for (const bool pin : {true, false}) {
    const Ended ended =
        run("run", fmt::format("--ranks {} --set cluster.threads={} --set output.overwrite=true{}",
                               count, share, pin ? "" : " --set cluster.pin_threads=false"));
    ASSERT_EQ(ended.code, 0) << ended.err;
    std::ifstream file(path("out/run.json"));
    const auto ranks = nlohmann::json::parse(file)["ranks"];
    for (std::size_t rank = 0; rank < count; ++rank) {
      const auto& pinned = ranks[rank]["pinned_cores"];
      const auto first = cores.begin() + static_cast<std::ptrdiff_t>(rank * share);
      const std::vector<std::uint32_t> own(first, first + static_cast<std::ptrdiff_t>(share));
      EXPECT_EQ(pinned, pin ? nlohmann::json(own) : nlohmann::json());
    }
  }
}

// The file is right, so it passes where the ranks do not run.
TEST_F(CommandLineJob, AnInstructionSetThatARankLacksEndsTheRunWithOne) {
  const std::vector<std::string> present = backends();
  const auto has = [&](const char* name) {
    return std::find(present.begin(), present.end(), name) != present.end();
  };
  const std::string missing = has("cpu:neon") ? "cpu:avx2" : "cpu:neon";
  EXPECT_EQ(run("validate", "--backend " + missing).code, 0);
  const Ended ended = run("run", "--ranks 2 --backend " + missing);
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("backend '" + missing +
                                         "': this machine has no such "
                                         "instruction set; it has " +
                                         fmt::format("{}", fmt::join(present, ", "))),
                               HasSubstr("(exit code 1)")));
}

TEST_F(CommandLineJob, WhatDoesNotFitIsThree) {
  // A KV cache of more than the least limit that can be set.
  small_model({"llama.context_length"})
      .set("llama.context_length", 1U << 20)
      .write(folder_ / "m.gguf");
  write("d.txt", std::string(20'000, 'x'));
  for (const char* verb : {"plan", "run"}) {
    const Ended ended = run(verb, "--memory 1MiB");
    EXPECT_EQ(ended.code, 3);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("has 1 MiB (cluster.memory)"),
                                 HasSubstr("the largest document that fits")));
  }
}

}  // namespace
}  // namespace varve
