#include "common/policy/presets.h"

#include <algorithm>
#include <vector>

namespace varve {
namespace {

constexpr std::string_view kAtDocumentEnd =
    "once the document is read; until then every row of it is held";
constexpr std::string_view kAndAnswers =
    "once the document is read, and while answers grow: they hold a bounded number of rows";

Component scorer(std::string_view name,
                 std::initializer_list<std::pair<std::string_view, double>> values = {}) {
  return make_component(name, values);
}

constexpr double kAllHeads = 1;

/// One compaction of the whole document by `by`.
PolicyConfig once(std::string_view preset, Component by) {
  PolicyConfig policy;
  policy.preset = preset;
  policy.scorer = std::move(by);
  policy.compaction = make_component("after_document");
  return policy;
}

PolicyConfig allocated(PolicyConfig policy, Component allocation) {
  policy.allocation = std::move(allocation);
  return policy;
}

PolicyConfig one_pool(PolicyConfig policy) {
  policy.decode = make_component("one_pool");
  return policy;
}

PolicyConfig keeping(PolicyConfig policy, std::uint32_t first, Budget last) {
  policy.keep_first = first;
  policy.keep_last = last;
  return policy;
}

PolicyConfig streaming_llm() {
  PolicyConfig policy = one_pool(once("streaming_llm", scorer("position")));
  policy.compaction = make_component("per_chunk");
  policy.keep_first = 4;
  policy.positions = Positions::kCompact;
  return policy;
}

PolicyConfig guided() {
  PolicyConfig policy = keeping(once("guided", scorer("guided")), 4, {Budget::Kind::kTokens, 64});
  policy.compaction = make_component("per_chunk");
  policy.positions = Positions::kCompact;
  return policy;
}

PolicyConfig scope(std::string_view preset, std::string_view schedule) {
  PolicyConfig policy = once(preset, scorer("accumulated"));
  policy.keep_last = {Budget::Kind::kTokens, 8};
  policy.decode = make_component(schedule);
  return policy;
}

PolicyConfig kivi(std::string_view preset, std::string_view storage) {
  PolicyConfig policy = once(preset, make_component("none"));
  policy.storage = make_component(storage);
  return policy;
}

PolicyConfig snapkv(std::string_view preset) {
  return once(preset, scorer("window"));
}

Preset scope_row(std::string_view name, std::string_view schedule, std::string_view summary,
                 std::string_view published) {
  return {.policy = scope(name, schedule),
          .summary = summary,
          .training_free = true,
          .memory = kAndAnswers,
          .published = published,
          .measured = {}};
}

constexpr std::string_view kScopeDiscontinuous =
    "LongGenBench-4K average of Llama-3.1-8B: 54.81 with 1024 rows of the answer, 54.27 with 512; "
    "59.78 with all (prompt of 2048 rows; SCOPE, tables 2 and 3)";

std::vector<Preset> eviction_rows() {
  return {
      {.policy = PolicyConfig{},
       .summary = "keeps every row of every layer; exact",
       .training_free = true,
       .memory = "never",
       .published = {},
       .measured = {}},
      {.policy = streaming_llm(),
       .summary = "sinks and the newest rows, at compact positions (StreamingLLM, "
                  "arXiv 2309.17453)",
       .training_free = true,
       .memory = "while the document is read: never more than the budget and 512 rows",
       .published = "LongGenBench-4K average of Llama-3.1-8B, as a baseline of SCOPE: 29.48 with "
                    "1024 rows of the answer; 59.78 with all",
       .measured = {}},
      {.policy =
           one_pool(keeping(once("h2o", scorer("accumulated")), 0, {Budget::Kind::kPercent, 50})),
       .summary = "rows that drew most attention so far, and half the budget of newest rows (H2O, "
                  "arXiv 2306.14048)",
       .training_free = true,
       .memory = kAndAnswers,
       .published = "LongGenBench-4K average of Llama-3.1-8B, as a baseline of SCOPE: 50.88 with "
                    "1024 rows of the answer; 59.78 with all",
       .measured = {}},
      {.policy = one_pool(
           once("tova", scorer("window", {{"window", 1}, {"kernel", 1}, {"heads", kAllHeads}}))),
       .summary = "rows that the newest query attends to, one choice for all heads of a layer "
                  "(TOVA, arXiv 2401.06104)",
       .training_free = true,
       .memory = kAndAnswers,
       .published = {},
       .measured = {}},
      {.policy = snapkv("snapkv"),
       .summary = "rows that the last queries attend to, pooled over neighbours (SnapKV, arXiv "
                  "2404.14469); to let those queries be the question's, set compaction: "
                  "after_question",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = "RULER-4k of Llama-3.1-8B, question unseen, a quarter removed: 81.8; 95.7 "
                    "with all (kvpress)",
       .measured = {}},
      {.policy = allocated(snapkv("pyramidkv"), make_component("pyramid")),
       .summary = "SnapKV with more rows for lower layers (PyramidKV, arXiv 2406.02069), the sum "
                  "exact",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = "LongBench of Mistral-7B-v0.2 with 128 / 1024 rows: 34.69 / 41.01; SnapKV "
                    "34.55 / 41.35 (Ada-KV's table)",
       .measured = {}},
      {.policy = allocated(snapkv("adakv"), make_component("per_head")),
       .summary = "SnapKV with a layer's rows shared out by need among its key heads (Ada-KV, "
                  "arXiv 2407.11550)",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = "RULER-4k of Llama-3.1-8B, question unseen, a quarter removed: 88.1; SnapKV "
                    "81.8, 95.7 with all (kvpress)",
       .measured = {}},
      {.policy = once("knorm", scorer("key_norm")),
       .summary = "rows with short keys (arXiv 2406.11430)",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = {},
       .measured = {}},
      {.policy = once("keydiff", scorer("key_difference")),
       .summary = "rows whose keys are unlike the mean key (KeyDiff, arXiv 2504.15364)",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = {},
       .measured = {}},
      {.policy = keeping(once("expected_attention", scorer("expected_attention")), 4,
                         {Budget::Kind::kTokens, 0}),
       .summary = "rows that queries to come are expected to attend to (Expected Attention, arXiv "
                  "2510.00636); with allocation: per_head it is the paper's best",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = "RULER-4k of Llama-3.1-8B, question unseen, a quarter removed: 88.5, with "
                    "per_head 93.6; 95.7 with all (kvpress)",
       .measured = {}},
      {.policy = allocated(snapkv("zigzagkv"), make_component("uncertainty")),
       .summary = "SnapKV with more rows for layers whose attention is spread wider (ZigZagKV, "
                  "arXiv 2412.09036)",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = "nearly lossless at about 20 % of the cache (abstract; Mistral and LLaMA, "
                    "needle in a haystack and LongBench)",
       .measured = {}},
  };
}

std::vector<Preset> other_rows() {
  return {
      scope_row("scope_slide", "slide",
                "H2O's choice of the document, and of the answer what the newest query attends to "
                "(SCOPE slide, arXiv 2412.13649)",
                "LongGenBench-4K average of Llama-3.1-8B: 56.21 with 1024 rows of the answer, "
                "55.67 with 512; 59.78 with all (prompt of 2048 rows)"),
      scope_row("scope_adaptive", "adaptive",
                "the same, the answer's share growing with it (SCOPE adaptive)",
                "LongGenBench-4K average of Llama-3.1-8B: 54.95 with 1024 rows of the answer, "
                "53.83 with 512; 59.78 with all (prompt of 2048 rows)"),
      scope_row("scope_discontinuous", "discontinuous",
                "the same, with few choices instead of one a step (SCOPE discontinuous)",
                kScopeDiscontinuous),
      scope_row("scope", "discontinuous", "scope_discontinuous by its short name",
                kScopeDiscontinuous),
      {.policy = kivi("kivi4", "int4"),
       .summary = "every row of the document, in 4 bits but for the newest 128 (KIVI, arXiv "
                  "2402.02750)",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = "LongBench of LongChat-7B: 38.79, 38.72 without; of Mistral-7B-v0.2: 43.53, "
                    "43.54 without",
       .measured = {}},
      {.policy = kivi("kivi2", "int2"),
       .summary = "every row of the document, in 2 bits but for the newest 128 (KIVI, arXiv "
                  "2402.02750); 4 bits suit models with grouped heads better",
       .training_free = true,
       .memory = kAtDocumentEnd,
       .published = "LongBench of LongChat-7B: 38.30, 38.72 without; of Mistral-7B-v0.2: 42.43, "
                    "43.54 without",
       .measured = {}},
      {.policy = guided(),
       .summary = "rows that the job's questions attend to while the document is read; ours",
       .training_free = true,
       .memory = "while the document is read: never more than the budget and 1024 rows",
       .published = {},
       .measured = {}},
  };
}

}  // namespace

std::span<const Preset> presets() {
  static const std::vector<Preset> rows = [] {
    std::vector<Preset> all = eviction_rows();
    for (Preset& row : other_rows()) all.push_back(std::move(row));
    return all;
  }();
  return rows;
}

const Preset* find_preset(std::string_view name) {
  const std::span<const Preset> all = presets();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Preset& p) { return p.policy.preset == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace varve
