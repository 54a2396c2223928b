#include "coordinator/eval/matrix.h"

#include <algorithm>

#include "common/error.h"
#include "common/io/sha256.h"
#include "common/policy/allocation.h"
#include "common/policy/contradictions.h"
#include "common/policy/presets.h"
#include "common/policy/sequence_rows.h"

namespace varve {
namespace {

// Of what samples are made of and how they are judged: raised when that changes.
constexpr int kEvalVersion = 1;

/// Lines of an error, if there is any.
class Lines {
 public:
  void add(const std::string& line) {
    if (!text_.empty()) text_ += '\n';
    text_ += line;
  }
  void throw_if_any() const {
    if (!text_.empty()) throw ConfigError(text_);
  }

 private:
  std::string text_;
};

std::string with_budget(const PolicyConfig& policy) {
  return fmt::format("{} {}", policy_label(policy), to_string(policy.budget));
}

/// Of a document's stream with what is kept of it, while it is read and while it is asked.
std::size_t most_positions(const PolicyConfig& policy, const EvalShape& shape,
                           const ModelConfig& model, DType kv_dtype) {
  const std::size_t budget = budget_rows(policy, shape.document, model, kv_dtype);
  std::size_t probe = 0;
  if (policy.scorer.name == "guided") {
    for (const std::uint32_t rows : shape.probes) probe = std::max<std::size_t>(probe, rows);
  }
  std::size_t own = 0;
  for (const OwnRows& rows : shape.questions) own = std::max(own, rows.total());
  return std::max(document_room(policy, budget, shape.document).rows + probe, budget + own);
}

// A document observes one set of moments for all policies that share it.
std::string unlike_moments(std::span<const PolicyConfig> policies) {
  const PolicyConfig* first = nullptr;
  for (const PolicyConfig& policy : policies) {
    if (policy.compaction.name == "per_chunk" || !document_needs(policy).query_moments) continue;
    if (first == nullptr) first = &policy;
    if (policy.keep_first == first->keep_first) continue;
    return fmt::format(
        "policies: {} and {}: of the queries whose moments they look at, the first "
        "{} are not to count for the one, the first {} for the other, and they share "
        "a document; set the same keep.first, or measure them one after the other",
        policy_label(*first), policy_label(policy), first->keep_first, policy.keep_first);
  }
  return {};
}

/// "window=64, heads=all": what is not as in `usual`, a variant of the same name.
std::string changed_params(const Component& component, const Component& usual) {
  const std::span<const ParamSpec> params = find_component(component.name)->params;
  std::string text;
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (component.values[i] == usual.values[i]) continue;
    text += fmt::format("{}{}=", text.empty() ? "" : ", ", params[i].name);
    text += params[i].choices.empty() ? fmt::format("{}", component.values[i])
                                      : std::string(component.choice(params[i].name));
  }
  return text;
}

/// "allocation: pyramid {beta=10}"; of the preset's own variant, "beta=10"; empty: no difference.
std::string slot_difference(Slot slot, const PolicyConfig& policy, const PolicyConfig& preset) {
  const Component& component = policy.slot(slot);
  if (component.name == preset.slot(slot).name) {
    return changed_params(component, preset.slot(slot));
  }
  const std::string params = changed_params(component, make_component(component.name));
  return params.empty() ? fmt::format("{}: {}", name_of(slot), component.name)
                        : fmt::format("{}: {} {{{}}}", name_of(slot), component.name, params);
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
  const PolicyConfig& usual = preset->policy;
  std::string text;
  const auto add = [&text](const std::string& difference) {
    if (!difference.empty()) text += fmt::format("{}{}", text.empty() ? "" : ", ", difference);
  };
  for (const Slot slot : slots()) add(slot_difference(slot, policy, usual));
  if (policy.keep_first != usual.keep_first) add(fmt::format("first: {}", policy.keep_first));
  if (policy.keep_last != usual.keep_last) {
    add(fmt::format("last: {}", to_string(policy.keep_last)));
  }
  if (policy.positions != usual.positions) {
    const bool compact = policy.positions == Positions::kCompact;
    add(fmt::format("positions: {}", compact ? "compact" : "original"));
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
  Lines lines;
  if (const std::string text = unlike_moments(matrix.policies); !text.empty()) lines.add(text);
  for (const PolicyConfig& policy : matrix.policies) {
    const std::string label = with_budget(policy);
    for (const Contradiction& c : contradictions_with(policy, model, kv_dtype, ranks)) {
      lines.add(fmt::format("policies: {}: {}: {}", label, c.path, c.text));
    }
    for (const std::uint32_t length : matrix.lengths) {
      if (length > model.context && !outlives_context(policy)) {
        lines.add(
            fmt::format("lengths: {} tokens are more than the context of {}, {}, and policy "
                        "{} does not go beyond it",
                        length, model.name, model.context, label));
        continue;
      }
      for (const Contradiction& c : contradictions_with_document(policy, model, kv_dtype, length)) {
        lines.add(fmt::format("lengths: {}: policy {}: {}", length, label, c.text));
      }
    }
  }
  lines.throw_if_any();
}

void check_positions(const EvalMatrix& matrix, std::span<const EvalShape> shapes,
                     const ModelConfig& model, DType kv_dtype) {
  Lines lines;
  for (const PolicyConfig& policy : matrix.policies) {
    if (!outlives_context(policy)) continue;
    std::size_t most = 0;
    for (const EvalShape& shape : shapes)
      most = std::max(most, most_positions(policy, shape, model, kv_dtype));
    if (most <= model.context) continue;
    lines.add(
        fmt::format("budgets: policy {} would hold {} rows, more than the context of {}, {}; "
                    "lower its budget",
                    with_budget(policy), most, model.name, model.context));
  }
  lines.throw_if_any();
}

}  // namespace varve
