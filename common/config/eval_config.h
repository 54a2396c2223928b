// What `varve eval` measures: tasks, lengths, cache policies and budgets, every one with every
// other. Read from YAML:
//
// clang-format off
//   name: smollm2                     # default: the file's name without .yaml
//   model: m.gguf                     # or {path: m.gguf}, as in a job
//   text: bible.txt                   # long running text that documents are cut from
//   tasks:                            # coordinator/eval/task_table.cc
//     - pass_key
//     - {multi_key: {keys: 4}}
//   lengths: [4k, 8k]                 # tokens of a whole prompt with its answer; 4k is 4096
//   policies:                         # each as a job's cache.policy
//     - full
//     - {preset: snapkv, allocation: uncertainty}
//   budgets: [50%, 20%, 10%]          # for the policies that drop rows of the document
//   samples: 40                       # distinct documents of a task and length
//   seed: 1                           # of what is asked and where documents are cut
//   chat: {template: auto, system: ""}
//   prefill: {chunk: 512}
//   decode: {parallel: 4}             # policies that hold rows of one document at the same time
//   cache: {dtype: f16}
//   output: {dir: out}                # samples that are there from the same settings are kept
// clang-format on
//
// Only model, text, tasks, lengths and policies are required, and budgets where a policy wants one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/config/problems.h"
#include "common/policy/policy_config.h"

namespace varve {

struct EvalTaskConfig {
  std::string name;
  std::vector<double> values;  // in the order of its ComponentSpec's params
  bool operator==(const EvalTaskConfig&) const = default;
};

struct EvalConfig {
  std::string name;
  std::filesystem::path model;
  std::filesystem::path text;
  std::vector<EvalTaskConfig> tasks;
  std::vector<std::uint32_t> lengths;
  std::vector<PolicyConfig> policies;  // each with a budget, where it wants one
  std::uint32_t samples = 40;          // 1..100000
  std::uint64_t seed = 1;
  ChatConfig chat;
  std::uint32_t chunk = 512;   // 1..65536
  std::uint32_t parallel = 4;  // 1..64
  DType kv_dtype = DType::kF16;
  std::filesystem::path output_dir = "out";
};

/// `tasks` are those that there are. Whatever is wrong goes into `problems`, and then the result is
/// not to be used.
EvalConfig read_eval(const std::filesystem::path& file, const ReadOptions& options,
                     std::span<const ComponentSpec> tasks, Problems& problems);
/// The same from a text, as if it stood in `file`.
EvalConfig read_eval_text(const std::filesystem::path& file, std::string text,
                          const ReadOptions& options, std::span<const ComponentSpec> tasks,
                          Problems& problems);

/// Whether the file is a configuration of this kind rather than a job: it has `tasks`. False for
/// one that cannot be read.
bool is_eval_file(const std::filesystem::path& file);
/// Whether it is a job instead: it has no `tasks`, but a `document` or `questions`.
bool is_job_file(const std::filesystem::path& file);

/// "4096" or "4k" (x 1024) or "1M" (x 1024 x 1024). ConfigError says what would be right.
std::uint32_t parse_length(std::string_view text);

/// The configuration with its defaults filled in, for the report.
std::string to_json(const EvalConfig& config, std::span<const ComponentSpec> tasks);

}  // namespace varve
