// `varve bench`, as it was typed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/bench_task.h"

namespace varve {

struct BenchLine {
  std::string model;
  std::string prompts = "512";
  std::string generates = "32";
  std::string depths = "0";
  std::string sequences = "1";
  std::optional<std::uint32_t> repetitions;  // nothing: 5, and 2 of each document of --scaling
  bool no_warm_up = false;
  std::uint32_t chunk = 512;
  std::string kv_dtype = "f16";
  std::string format = "md";
  std::optional<std::filesystem::path> cluster;
  std::vector<std::string> overrides;  // "cluster.threads=2"

  std::string scaling;                          // "1,2,4"; empty: a table of cases
  std::optional<std::uint32_t> scaling_tokens;  // nothing: 8192, or what the context holds
  std::string hostfile;                         // of --scaling
};

/// The exit code; ConfigError for what is wrong with the line.
int bench_command(const BenchLine& line);

// --- between bench_command.cc and bench_scaling.cc ---

/// What the line asks for but --scaling and its like.
BenchOptions bench_options(const BenchLine& line);

/// Runs this program once for each count of ranks, with mpirun if there is a hostfile.
int scaling_command(const BenchLine& line);

}  // namespace varve
