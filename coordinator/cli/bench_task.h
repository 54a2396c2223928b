// `varve bench` on the ranks of a run.
#pragma once

#include <filesystem>
#include <memory>

#include "common/config/cluster_config.h"
#include "coordinator/bench/bench_case.h"
#include "coordinator/bench/text_table.h"
#include "coordinator/cli/task.h"

namespace varve {

struct BenchOptions {
  std::filesystem::path model;
  std::vector<BenchCase> cases;
  std::uint32_t repetitions = 5;
  bool warm_up = true;
  std::uint32_t chunk = 512;
  DType kv_dtype = DType::kF16;
  TableFormat format = TableFormat::kMarkdown;
  ClusterConfig cluster;
};

std::unique_ptr<Task> make_bench_task(BenchOptions options);

}  // namespace varve
