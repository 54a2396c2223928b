// Everything that an evaluation tries with everything: tasks, lengths, policies, samples.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/model/model_config.h"
#include "common/policy/policy_config.h"
#include "coordinator/eval/eval_memory.h"
#include "coordinator/eval/sample_builder.h"

namespace varve {

struct EvalMatrix {
  std::vector<TaskChoice> tasks;
  std::vector<std::uint32_t> lengths;  // of whole prompts, in tokens
  std::vector<PolicyConfig> policies;  // each with its budget
  std::uint64_t samples = 1;
};

/// One task at one length under one policy: indices into the matrix.
struct Cell {
  std::size_t task = 0;
  std::size_t length = 0;
  std::size_t policy = 0;
  bool operator==(const Cell&) const = default;
};
/// All of them, task by task, then length by length.
std::vector<Cell> cells_of(const EvalMatrix& matrix);

/// "snapkv", "snapkv {window=64, allocation: pyramid}": the preset and what differs from it.
std::string policy_label(const PolicyConfig& policy);

/// "4k" where that is exact, else "4000".
std::string length_text(std::uint32_t tokens);

/// What makes samples comparable, besides the cell: everything that changes what the model reads or
/// computes. Not chunk, ranks and the like, on which results do not depend.
struct EvalBasis {
  std::string model_sha256;
  std::string text_sha256;
  std::string chat_template;
  std::string system;
  std::string kv_dtype;
  std::uint64_t seed = 0;
};
/// Names a cell's samples in the log: equal for equal configurations, also in another matrix.
std::string cell_key(const EvalBasis& basis, const EvalMatrix& matrix, const Cell& cell);

/// The policies of the run's Orders: the one that keeps every row, then the matrix' others.
struct RunPolicies {
  std::vector<PolicyConfig> policies;
  std::vector<std::uint32_t> index;  // by policy of the matrix
};
RunPolicies run_policies(const EvalMatrix& matrix);

/// Every length that a policy cannot have in `model`, and every policy that cannot be with it or
/// with `ranks` ranks, in one ConfigError.
void check_matrix(const EvalMatrix& matrix, const ModelConfig& model, DType kv_dtype,
                  std::size_t ranks);
/// The same of policies whose rows count anew, so that a document may be longer than the context:
/// what they hold of it may not. `shapes` are of each task and length.
void check_positions(const EvalMatrix& matrix, std::span<const EvalShape> shapes,
                     const ModelConfig& model, DType kv_dtype);

}  // namespace varve
