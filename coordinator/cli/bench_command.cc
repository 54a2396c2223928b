#include "coordinator/cli/bench_command.h"

#include "common/config/validate.h"
#include "common/error.h"

namespace varve {
namespace {

constexpr std::uint32_t kMostTokens = 1U << 24U;
constexpr std::uint32_t kMostSequences = 4096;

DType parse_kv_dtype(const std::string& name) {
  const std::optional<DType> dtype = dtype_from_name(name);
  if (dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32) return *dtype;
  throw ConfigError(
      fmt::format("--kv-dtype '{}': unknown type of cached rows; known: f16, bf16, f32", name));
}

ClusterConfig read_cluster_of(const BenchLine& line) {
  const Overrides overrides = split_overrides(line.overrides);
  if (!overrides.job.empty()) {
    throw ConfigError(fmt::format(
        "--set '{}': a bench has no job; settings of the cluster file begin with cluster.",
        overrides.job.front()));
  }
  Problems problems;
  const ReadOptions options{.overrides = overrides.cluster};
  ClusterConfig cluster = line.cluster
                              ? read_cluster(*line.cluster, options, problems)
                              : read_cluster_text("cluster defaults", "{}", options, problems);
  problems.throw_if_any();
  return cluster;
}

}  // namespace

BenchOptions bench_options(const BenchLine& line) {
  const BenchLists lists{.prompts = parse_counts("-p", line.prompts, 0, kMostTokens),
                         .generates = parse_counts("-n", line.generates, 0, kMostTokens),
                         .depths = parse_counts("-d", line.depths, 0, kMostTokens),
                         .sequences = parse_counts("-b", line.sequences, 1, kMostSequences)};
  return {.model = line.model,
          .cases = bench_cases(lists),
          .repetitions = line.repetitions.value_or(5),
          .warm_up = !line.no_warm_up,
          .chunk = line.chunk,
          .kv_dtype = parse_kv_dtype(line.kv_dtype),
          .format = parse_format(line.format),
          .cluster = read_cluster_of(line)};
}

int bench_command(const BenchLine& line) {
  if (!line.scaling.empty()) return scaling_command(line);
  return run_task([&line] { return make_bench_task(bench_options(line)); });
}

}  // namespace varve
