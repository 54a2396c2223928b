// `varve bench` as a user meets it, with a model that costs nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"
#include "tests/cli/small_model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

class Bench : public testing::Test {
 protected:
  Bench() { small_model().write(folder_ / "m.gguf"); }

  Ended bench(const std::string& options) const {
    return run_varve("bench -m " + (folder_ / "m.gguf").string() + " " + options);
  }
  static std::ptrdiff_t lines(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  }

  TempFolder folder_;
};

TEST_F(Bench, ATableOfCasesAgainstThePeaks) {
  const Ended ended = bench("-p 20 -n 3 -d 0,9 -b 1,2 -r 2 --chunk 8 --threads 1");
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(lines(ended.out), 4 + 6);
  EXPECT_THAT(ended.out,
              AllOf(StartsWith("peak of 1 thread here, measured: "),
                    ContainsRegex("\\| small \\|.* \\| cpu \\([a-z0-9]+\\) \\| +1 \\| +1 \\| pp20 +"
                                  "\\| +[0-9]+\\.[0-9]+ ± [0-9]+\\.[0-9]+ \\| +[0-9.]+ % FMA"),
                    HasSubstr("| pp20 @ d9"), HasSubstr("| tg3 b2 @ d9"), HasSubstr(" % read |")));
  EXPECT_THAT(ended.err, HasSubstr("varve: tg3 b2 @ d9 on 1 rank\n"));
}

TEST_F(Bench, Csv) {
  const Ended ended = bench("-p 5 -n 2 -r 1 --backend reference -o csv");
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(lines(ended.out), 3);
  EXPECT_THAT(ended.out, AllOf(StartsWith("model,model_size,"), HasSubstr(",reference,"),
                               HasSubstr(",pp5,5,0,0,1,"), HasSubstr(",tg2,0,2,0,1,")));
}

TEST_F(Bench, JsonOfTwoRanks) {
  const Ended ended =
      bench("-p 40 -n 4 -b 3 -r 3 --chunk 5 --ranks 2 --layers 0:1,1:2 --threads 1 -o json");
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["run"]["ranks"], 2);
  EXPECT_EQ(json["run"]["chunk"], 5);
  EXPECT_THAT(json["run"]["bubble_share"].get<double>(), AllOf(testing::Gt(0), testing::Lt(1)));
  // A row of 32 floats for every token, and little else.
  EXPECT_THAT(json["run"]["bytes_per_token"].get<double>(),
              AllOf(testing::Gt(128), testing::Lt(512)));
  ASSERT_THAT(json["tests"], SizeIs(2));
  for (const auto& test : json["tests"]) {
    EXPECT_THAT(test["samples_ts"], SizeIs(3));
    EXPECT_GT(test["avg_ts"], 0.0);
    EXPECT_GT(test["fma_share"], 0.0);
  }
  EXPECT_EQ(json["tests"][1]["n_seqs"], 3);
}

TEST_F(Bench, ScalingOverThreads) {
  const Ended ended = bench("--scaling 2,1 --scaling-tokens 64 --chunk 8 -r 1 --threads 1 -o csv");
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(lines(ended.out), 5);
  EXPECT_THAT(ended.out,
              AllOf(ContainsRegex("\nsmall,strong,1,1,cpu [^,]*,64,[^,]*,[^,]*,1.000000,1.000000,"),
                    ContainsRegex("\nsmall,strong,2,1,cpu [^,]*,64,"),
                    ContainsRegex("\nsmall,weak,1,1,cpu [^,]*,32,"),
                    ContainsRegex("\nsmall,weak,2,1,cpu [^,]*,64,")));
}

TEST_F(Bench, WhatIsWrongWithTheLineIsTwo) {
  const auto message = [this](const std::string& options) {
    const Ended ended = bench(options);
    EXPECT_EQ(ended.code, 2) << options;
    EXPECT_EQ(ended.out, "") << options;
    return ended.err;
  };
  EXPECT_THAT(message("-p 1,x"), HasSubstr("varve: -p '1,x': 'x' is not a whole number"));
  EXPECT_THAT(message("-p 0 -n 0"), HasSubstr("leave nothing to measure"));
  EXPECT_THAT(message("-d 250"), HasSubstr("pp512 @ d250 needs 762 tokens of context, and small "
                                           "has 256\ntg32 @ d250 needs 282 tokens"));
  EXPECT_THAT(message("-p 0 -b 9 --chunk 8"), HasSubstr("tg32 b9 needs steps of 9 rows"));
  EXPECT_THAT(message("-o xml"), HasSubstr("-o 'xml': unknown format; known: md, csv, json"));
  EXPECT_THAT(message("--kv-dtype q8"), HasSubstr("--kv-dtype 'q8': unknown type"));
  EXPECT_THAT(message("--backend cpuu"), HasSubstr("did you mean 'cpu'?"));
  EXPECT_THAT(message("--set sampling.seed=1"), HasSubstr("a bench has no job"));
  EXPECT_THAT(message("--scaling 1,0"), HasSubstr("--scaling '1,0': '0' is not a whole number"));
  EXPECT_THAT(message("--scaling 1 -p 3"), HasSubstr("excludes"));
  EXPECT_THAT(message("--scaling 1 --scaling-tokens 257"),
              HasSubstr("--scaling-tokens 257: more than the 256 of small's context"));
  EXPECT_THAT(message("--scaling 2 --scaling-tokens 1"), HasSubstr("2 ranks need a document"));
  EXPECT_THAT(message("--scaling 1 --hostfile /nowhere"),
              HasSubstr("--hostfile /nowhere: no such file"));
  EXPECT_THAT(message("--hostfile /nowhere"), HasSubstr("requires"));
  EXPECT_THAT(message("-r 0"), HasSubstr("-r"));
}

TEST_F(Bench, AModelThatIsMissing) {
  for (const char* more : {"", " --scaling 1"}) {
    const Ended ended = run_varve(std::string("bench -m /nowhere/m.gguf") + more);
    EXPECT_EQ(ended.code, 2);
    EXPECT_THAT(ended.err, HasSubstr("/nowhere/m.gguf"));
  }
}

TEST_F(Bench, MoreRanksThanLayersIsThree) {
  for (const char* options : {"-p 9 -n 0 --ranks 3", "--scaling 3 --scaling-tokens 9"}) {
    const Ended ended = bench(options);
    EXPECT_EQ(ended.code, 3) << options;
    EXPECT_THAT(ended.err, HasSubstr("3 ranks for the 2 layers of small")) << options;
  }
}

}  // namespace
}  // namespace varve
