#include "coordinator/eval/matrix.h"

#include "common/error.h"
#include "common/io/sha256.h"
#include "common/policy/contradictions.h"
#include "common/policy/presets.h"
#include "common/policy/sequence_rows.h"

namespace varve {
namespace {

// Of what samples are made of and how they are judged: raised when that changes.
constexpr int kEvalVersion = 1;

void add_difference(std::string_view name, const std::string& value, std::string& text) {
  text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", name, value);
}

}  // namespace

std::vector<Cell> cells_of(const EvalMatrix& matrix) {
  std::vector<Cell> cells;
  for (std::size_t task = 0; task < matrix.tasks.size(); ++task) {
    for (std::size_t length = 0; length < matrix.lengths.size(); ++length) {
      for (std::size_t policy = 0; policy < matrix.policies.size(); ++policy) {
        cells.push_back({task, length, policy});
      }
    }
  }
  return cells;
}

std::string policy_label(const PolicyConfig& policy) {
  const Preset* preset = find_preset(policy.preset);
  VARVE_CHECK(preset != nullptr, "no preset '{}'", policy.preset);
  std::string text;
  for (const Slot slot : slots()) {
    if (policy.slot(slot) == preset->policy.slot(slot)) continue;
    add_difference(name_of(slot), to_string(policy.slot(slot)), text);
  }
  if (policy.keep_first != preset->policy.keep_first) {
    add_difference("first", fmt::format("{}", policy.keep_first), text);
  }
  if (policy.keep_last != preset->policy.keep_last) {
    add_difference("last", to_string(policy.keep_last), text);
  }
  if (policy.positions != preset->policy.positions) {
    const bool compact = policy.positions == Positions::kCompact;
    add_difference("positions", compact ? "compact" : "original", text);
  }
  return text.empty() ? policy.preset : fmt::format("{} {{{}}}", policy.preset, text);
}

std::string length_text(std::uint32_t tokens) {
  constexpr std::uint32_t kMega = 1U << 20U;
  if (tokens % kMega == 0) return fmt::format("{}M", tokens / kMega);
  if (tokens % 1024 == 0) return fmt::format("{}k", tokens / 1024);
  return fmt::format("{}", tokens);
}

std::string cell_key(const EvalBasis& basis, const EvalMatrix& matrix, const Cell& cell) {
  const TaskChoice& task = matrix.tasks[cell.task];
  std::string all =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n", kEvalVersion, basis.model_sha256,
                  basis.text_sha256, basis.chat_template, basis.system, basis.kv_dtype, basis.seed);
  all += task.name;
  for (const double value : task.params) all += fmt::format(" {}", value);
  all += fmt::format("\n{}\n{}\n{}", matrix.lengths[cell.length], kPolicyVersion,
                     describe(matrix.policies[cell.policy]));
  return sha256_hex(std::as_bytes(std::span(all))).substr(0, 16);
}

RunPolicies run_policies(const EvalMatrix& matrix) {
  RunPolicies run{.policies = {PolicyConfig{}}, .index = {}};
  for (const PolicyConfig& policy : matrix.policies) {
    if (is_full(policy)) {
      run.index.push_back(0);
      continue;
    }
    run.index.push_back(static_cast<std::uint32_t>(run.policies.size()));
    run.policies.push_back(policy);
  }
  return run;
}

void check_matrix(const EvalMatrix& matrix, const ModelConfig& model, DType kv_dtype,
                  std::size_t ranks) {
  std::string text;
  const auto add = [&](const std::string& line) {
    if (!text.empty()) text += '\n';
    text += line;
  };
  for (const PolicyConfig& policy : matrix.policies) {
    const std::string label = fmt::format("{} {}", policy_label(policy), to_string(policy.budget));
    for (const Contradiction& c : contradictions_with(policy, model, kv_dtype, ranks)) {
      add(fmt::format("policies: {}: {}: {}", label, c.path, c.text));
    }
    for (const std::uint32_t length : matrix.lengths) {
      if (length > model.context && !outlives_context(policy)) {
        add(
            fmt::format("lengths: {} tokens are more than the context of {}, {}, and policy {} "
                        "does not go beyond it",
                        length, model.name, model.context, label));
        continue;
      }
      for (const Contradiction& c : contradictions_with_document(policy, model, kv_dtype, length)) {
        add(fmt::format("lengths: {}: policy {}: {}", length, label, c.text));
      }
    }
  }
  if (!text.empty()) throw ConfigError(text);
}

}  // namespace varve
