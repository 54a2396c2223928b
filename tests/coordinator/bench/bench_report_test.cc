#include "coordinator/bench/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace varve {
namespace {

using Kind = BenchCase::Kind;

BenchReport report() {
  BenchReport r;
  r.version = "1";
  r.model_file = "m.gguf";
  r.model = "a, b";
  r.model_bytes = 3 << 20;
  r.parameters = 134'515'008;
  r.backend = "cpu (avx2)";
  r.threads = 2;
  r.ranks = 1;
  r.kv_dtype = "f16";
  r.peak_flops_per_second = 200e9;
  r.peak_bytes_per_second = 20e9;
  r.bytes_per_token = 2304;
  // 100 tokens in 1 s and in 0.5 s; two sequences of 10 in 2 s.
  r.results = {{{Kind::kPrompt, 100, 0, 1}, {75e9, 0}, {1, 0.5}},
               {{Kind::kGenerate, 10, 64, 2}, {1e9, 4e9}, {2}}};
  return r;
}

TEST(BenchReport, RatesCountAllSequences) {
  EXPECT_THAT(token_rates(report().results[0]), testing::ElementsAre(100, 200));
  EXPECT_THAT(token_rates(report().results[1]), testing::ElementsAre(10));
}

TEST(BenchReport, SharesOfThePeaks) {
  const BenchReport r = report();
  EXPECT_DOUBLE_EQ(fma_share(r, r.results[0]), 0.5);
  EXPECT_EQ(read_share(r, r.results[0]), std::nullopt);
  EXPECT_DOUBLE_EQ(*read_share(r, r.results[1]), 0.1);
}

TEST(BenchReport, Markdown) {
  EXPECT_EQ(bench_table(report(), TableFormat::kMarkdown),
            // clang-format off
R"(peak of 2 threads here, measured: 200.0 GFLOP/s float32 FMA, 20.0 GB/s memory read

| model |  size |   params | backend    | threads | ranks | test          |            t/s |     of peak |
| ----- | ----: | -------: | ---------- | ------: | ----: | ------------- | -------------: | ----------: |
| a, b  | 3 MiB | 134.52 M | cpu (avx2) |       2 |     1 | pp100         | 150.00 ± 70.71 |  50.0 % FMA |
| a, b  | 3 MiB | 134.52 M | cpu (avx2) |       2 |     1 | tg10 b2 @ d64 |   10.00 ± 0.00 | 10.0 % read |
)");
  // clang-format on
}

TEST(BenchReport, Csv) {
  EXPECT_EQ(bench_table(report(), TableFormat::kCsv),
            "model,model_size,model_n_params,backend,n_threads,ranks,test,n_prompt,n_gen,n_depth,"
            "n_seqs,avg_ts,stddev_ts,fma_share,read_share\n"
            "\"a, b\",3145728,134515008,cpu (avx2),2,1,pp100,100,0,0,1,150.000000,70.710678,"
            "0.500000,\n"
            "\"a, b\",3145728,134515008,cpu (avx2),2,1,tg10 b2 @ d64,0,10,64,2,10.000000,0.000000,"
            "0.002500,0.100000\n");
}

TEST(BenchReport, Json) {
  const auto json = nlohmann::json::parse(bench_table(report(), TableFormat::kJson));
  EXPECT_EQ(json["run"]["model_filename"], "m.gguf");
  EXPECT_TRUE(json["run"]["bubble_share"].is_null());
  ASSERT_EQ(json["tests"].size(), 2U);
  EXPECT_EQ(json["tests"][0]["n_prompt"], 100);
  EXPECT_EQ(json["tests"][0]["samples_ns"], (std::vector<double>{1e9, 5e8}));
  EXPECT_TRUE(json["tests"][0]["read_share"].is_null());
  EXPECT_EQ(json["tests"][1]["n_gen"], 10);
  EXPECT_EQ(json["tests"][1]["n_depth"], 64);
  EXPECT_EQ(json["tests"][1]["n_seqs"], 2);
  EXPECT_EQ(json["tests"][1]["backend"], "cpu (avx2)");
}

}  // namespace
}  // namespace varve
