#include "common/policy/contradictions.h"

#include <algorithm>

#include "common/cached_rows.h"
#include "common/error.h"
#include "common/policy/allocation.h"
#include "common/policy/kept_bytes.h"
#include "common/units.h"

namespace varve {
namespace {

using List = std::vector<Contradiction>;

bool is(const Component& component, std::string_view name) {
  return component.name == name;
}

std::string too_small(const Protected& kept) {
  return fmt::format("more than those that are kept in any case, {} at the start and {} at the end",
                     kept.first, kept.last);
}

void check_scorer(const PolicyConfig& p, List& list) {
  const bool scored = !is(p.scorer, "none");
  const bool compacts = !is(p.compaction, "never");
  const bool floats = is(p.storage, "float");
  if (scored && !compacts) {
    list.push_back({"policy.compaction",
                    fmt::format("scorer {} is never asked; set after_document, after_question or "
                                "per_chunk",
                                p.scorer.name)});
  }
  if (!scored && is(p.compaction, "per_chunk")) {
    list.push_back({"policy.compaction",
                    "per_chunk drops rows, and scorer none cannot say which; set a scorer"});
  } else if (!scored && compacts && floats) {
    list.push_back({"policy.compaction",
                    fmt::format("{} has nothing to do: scorer none keeps every row and storage "
                                "float leaves it as it is",
                                p.compaction.name)});
  }
  for (const std::string_view name : {"window", "guided"}) {
    if (is(p.scorer, name) && p.scorer.count("kernel") % 2 == 0) {
      list.push_back(
          {fmt::format("policy.scorer.{}", name),
           fmt::format("kernel must be odd, to have a middle; is {}", p.scorer.count("kernel"))});
    }
  }
  if (is(p.scorer, "guided") && p.scorer.choice("encode") == "local" &&
      p.scorer.choice("scope") == "global") {
    list.push_back({"policy.scorer.guided",
                    "encode local chooses for each question, which scope global does for all of "
                    "them; take scope stage or head"});
  }
  if (is(p.scorer, "guided") && p.scorer.get("contrast") > 0 &&
      p.scorer.choice("encode") != "local") {
    list.push_back({"policy.scorer.guided",
                    "contrast tells the rows of one question from those of the others, which only "
                    "encode local keeps apart"});
  }
  if (is(p.scorer, "guided") && p.scorer.choice("votes") != "all" &&
      p.scorer.choice("scope") == "head") {
    list.push_back({"policy.scorer.guided",
                    fmt::format("votes {} says which layers choose for the others, but in scope "
                                "head each chooses for itself; take scope stage or global",
                                p.scorer.choice("votes"))});
  }
  if (is(p.scorer, "guided") && !is(p.compaction, "per_chunk")) {
    list.push_back({"policy.compaction",
                    fmt::format("scorer guided looks while the document is read: it wants "
                                "per_chunk, not {}",
                                p.compaction.name)});
  }
}

void check_budget(const PolicyConfig& p, List& list) {
  const bool given = p.budget.kind != Budget::Kind::kAll;
  const bool drops = !is(p.scorer, "none");
  if (drops && !given) {
    list.push_back({"budget", fmt::format("is required: policy {} keeps a part of the document; "
                                          "tokens (512), a share of it (20%) or a size (64MiB)",
                                          p.preset)});
  }
  if (!drops && given) {
    list.push_back({"budget", fmt::format("{} means nothing where every row is kept (scorer none)",
                                          to_string(p.budget))});
  }
  if (!drops && (p.keep_first > 0 || p.keep_last.value > 0)) {
    list.push_back({"policy.keep", "means nothing where every row is kept (scorer none)"});
  }
  if (p.keep_last.kind != Budget::Kind::kTokens && p.keep_last.kind != Budget::Kind::kPercent) {
    list.push_back({"policy.keep.last",
                    fmt::format("must be tokens (64) or a share of the budget (50%), is {}",
                                to_string(p.keep_last))});
  }
  if (p.budget.kind != Budget::Kind::kTokens || !list.empty()) return;
  const auto rows = static_cast<std::size_t>(p.budget.value);
  const Protected kept = wanted_protection(p, rows);
  if (kept.first + kept.last < rows) return;
  list.push_back({"budget", fmt::format("{} rows must be {}", rows, too_small(kept))});
}

void check_allocation(const PolicyConfig& p, List& list) {
  const std::string& name = p.allocation.name;
  if (name == "uniform") return;
  if (is(p.scorer, "none")) {
    list.push_back({"policy.allocation",
                    fmt::format("{} shares out a budget, and scorer none has none", name)});
    return;
  }
  if (is(p.compaction, "per_chunk") && name != "pyramid") {
    list.push_back({"policy.allocation",
                    fmt::format("{} looks at the whole document, and per_chunk compacts before it "
                                "is read; take uniform or pyramid",
                                name)});
  }
  if (name == "uncertainty" && !is(p.scorer, "window")) {
    list.push_back({"policy.allocation",
                    fmt::format("uncertainty measures the attention of scorer window's queries, "
                                "and the scorer is {}",
                                p.scorer.name)});
  }
  if (is(p.scorer, "guided") && p.scorer.choice("encode") == "local") {
    list.push_back({"policy.allocation",
                    fmt::format("scorer guided with encode local wants uniform, not {}", name)});
  } else if (is(p.scorer, "guided") && p.scorer.choice("scope") != "head") {
    list.push_back({"policy.allocation",
                    fmt::format("scorer guided with scope {} keeps the same rows in every layer: "
                                "it wants uniform, not {}",
                                p.scorer.choice("scope"), name)});
  }
}

void check_positions(const PolicyConfig& p, List& list) {
  if (p.positions == Positions::kOriginal) return;
  const std::string_view path = "policy.positions";
  if (!drops_document_rows(p)) {
    list.push_back({std::string(path), "compact means nothing where no row of the document goes"});
  }
  if (!is(p.allocation, "uniform")) {
    list.push_back({std::string(path),
                    fmt::format("compact positions want as many rows in every layer and head: "
                                "allocation uniform, not {}",
                                p.allocation.name)});
  }
  if (is(p.compaction, "after_question")) {
    list.push_back({std::string(path),
                    "compact positions come too late for a question that is read already "
                    "(after_question); take after_document or per_chunk"});
  }
}

void check_decode(const PolicyConfig& p, List& list) {
  if (!is(p.decode, "one_pool")) return;
  const std::string path = "policy.decode";
  if (is(p.scorer, "none") || is(p.scorer, "guided")) {
    list.push_back(
        {path, fmt::format("one_pool wants a scorer that can judge an answer's rows, not {}",
                           p.scorer.name)});
  }
  if (!is(p.storage, "float")) {
    list.push_back({path, fmt::format("one_pool evicts row after row, which storage {} cannot; "
                                      "take float",
                                      p.storage.name)});
  }
  if (is(p.allocation, "uncertainty") || is(p.allocation, "per_head")) {
    list.push_back({path, fmt::format("one_pool wants a number of rows that is known before: "
                                      "allocation uniform or pyramid, not {}",
                                      p.allocation.name)});
  }
  if (is(p.compaction, "after_question")) {
    list.push_back({path,
                    "one_pool compacts when a question is read as it is; take "
                    "after_document or per_chunk"});
  }
}

void check_storage(const PolicyConfig& p, List& list) {
  if (is(p.storage, "float") || !is(p.compaction, "never")) return;
  list.push_back({"policy.storage",
                  fmt::format("{} is for rows that a compaction has frozen, and there is none; set "
                              "compaction: after_document",
                              p.storage.name)});
}

void check_windowed(const PolicyConfig& p, const ModelConfig& model, List& list) {
  if (!model.sliding_window || p.positions == Positions::kOriginal) return;
  list.push_back({"policy.positions",
                  fmt::format("compact positions would move rows into the sliding window of {} "
                              "tokens that {} attends in; take original",
                              *model.sliding_window, model.name)});
}

}  // namespace

List contradictions(const PolicyConfig& policy) {
  List list;
  check_budget(policy, list);
  check_scorer(policy, list);
  check_allocation(policy, list);
  check_positions(policy, list);
  check_decode(policy, list);
  check_storage(policy, list);
  return list;
}

List contradictions_with(const PolicyConfig& policy, const ModelConfig& model, DType kv_dtype,
                         std::size_t ranks) {
  List list;
  if (storage_dtype(policy) && model.head_dim % kRowGroup != 0) {
    list.push_back({"policy.storage",
                    fmt::format("{} groups {} channels, and the heads of {} have {}; take float",
                                policy.storage.name, kRowGroup, model.name, model.head_dim)});
  }
  check_windowed(policy, model, list);
  if (ranks > 1 && is(policy.scorer, "guided") && policy.scorer.choice("scope") == "global" &&
      policy.scorer.count("lag") == 0) {
    list.push_back({"policy.scorer.guided",
                    fmt::format("scope global with lag 0 would have {} ranks wait for each other "
                                "at every compaction; set lag: 1",
                                ranks)});
  }
  if (list.empty() && policy.budget.kind == Budget::Kind::kBytes && drops_document_rows(policy)) {
    const std::size_t row = model.layers * kept_bytes(policy, model, 1, kv_dtype).held;
    if (policy.budget.value < static_cast<double>(row)) {
      list.push_back(
          {"budget", fmt::format("{} are less than one row takes in all {} layers, {}",
                                 to_string(policy.budget), model.layers, to_string(Bytes{row}))});
    }
  }
  return list;
}

List contradictions_with_document(const PolicyConfig& policy, const ModelConfig& model,
                                  DType kv_dtype, std::size_t rows) {
  if (!drops_document_rows(policy)) return {};
  const std::size_t budget = budget_rows(policy, rows, model, kv_dtype);
  const Protected kept = wanted_protection(policy, budget);
  if (budget >= rows || kept.first + kept.last < budget) return {};
  return {{"budget", fmt::format("{} of a document of {} tokens, {} rows, must be {}",
                                 to_string(policy.budget), rows, budget, too_small(kept))}};
}

}  // namespace varve
