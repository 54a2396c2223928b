// The plan as people read it.
#include <algorithm>

#include "common/error.h"
#include "common/units.h"
#include "coordinator/plan/planner.h"

namespace varve {
namespace {

constexpr std::string_view kLine =
    "{:>4}  {:>7}  {:>5}  {:>10}  {:>10}{}  {:>10}  {:>10}  {:>10}  {:>10}\n";

std::string shown(std::size_t bytes) {
  return to_string(Bytes{bytes});
}

std::string count(std::size_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

std::string headline(const Plan& plan) {
  std::string text = fmt::format("plan: {}, {} on {}\n", plan.model, count(plan.layers, "layer"),
                                 count(plan.ranks.size(), "rank"));
  text += plan.chunks == 0 ? "  no prefix"
                           : fmt::format("  a prefix of {} in {} of {} rows",
                                         count(plan.shape.prefix_rows, "token"),
                                         count(plan.chunks, "chunk"), plan.shape.chunk);
  return text + fmt::format("; {}, {} at a time; at most {} under way per boundary\n\n",
                            count(plan.shape.questions.size(), "question"), plan.shape.parallel,
                            count(plan.shape.in_flight, "step"));
}

std::string table(const Plan& plan) {
  const bool falls = !is_full(plan.shape.policy);
  const auto after = [&](const std::string& what) {
    return falls ? fmt::format("  {:>10}", what) : std::string();
  };
  std::string text =
      fmt::format(kLine, "rank", "layers", "work", "weights", falls ? "KV peak" : "KV",
                  after("KV after"), "workspace", "buffers", "total", "limit");
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const RankPlan& r = plan.ranks[rank];
    text += fmt::format(kLine, rank, fmt::format("{}:{}", r.layers.begin, r.layers.end),
                        fmt::format("{:.0f} %", 100 * r.work), shown(r.bytes.weights),
                        shown(r.bytes.kv), after(shown(r.kv_after)), shown(r.bytes.workspace),
                        shown(r.bytes.channel), shown(r.bytes.total()),
                        plan.limit ? shown(*plan.limit) : "none");
  }
  return text + "\n";
}

std::string policy_lines(const Plan& plan) {
  const PolicyConfig& policy = plan.shape.policy;
  if (is_full(policy)) return {};
  std::string text = fmt::format("  policy: {} ({})\n", policy.preset, describe(policy));
  if (drops_document_rows(policy)) {
    text +=
        fmt::format("  budget: {} of the document's {} per layer and head, {:.3g} %, {} in all\n",
                    count(plan.kept.rows, "row"), plan.shape.prefix_rows, plan.kept.percent,
                    shown(plan.kept.bytes));
  }
  if (!plan.shape.probes.empty()) {
    text += fmt::format("  probes: {}, {} in all behind every {}\n",
                        count(plan.shape.probes.size(), "text"),
                        count(plan.shape.step_rows() - plan.shape.chunk, "row"),
                        count(policy.compaction.count("rows"), "row"));
  }
  if (!plan.kv_is_exact) {
    text += "  KV is the most that it can be; how much it is depends on texts and answers\n";
  }
  return text;
}

std::string pipeline_lines(const Plan& plan) {
  if (plan.ranks.size() == 1) return {};
  const std::size_t turns = plan.chunks + plan.ranks.size() - 1;
  std::string text;
  if (plan.chunks > 0) {
    text += fmt::format(
        "  pipeline: {} through {} take {} turns, so a rank has work in {:.0f} % of the prefill\n",
        count(plan.chunks, "chunk"), count(plan.ranks.size(), "rank"), turns, 100 * plan.fill);
    text += fmt::format("  boundary: {} per chunk, ", shown(plan.boundary_chunk));
  } else {
    text += "  boundary: ";
  }
  return text + fmt::format("at most {} in the whole job, between each two neighbours\n",
                            shown(plan.boundary_job));
}

std::string limit_lines(const Plan& plan) {
  if (!plan.limit) return {};
  std::string text =
      fmt::format("  limit: {} per rank ({})\n", shown(*plan.limit), plan.limit_source);
  if (plan.largest_document) {
    text += fmt::format("  largest document: {} ({})\n", count(*plan.largest_document, "token"),
                        plan.document_bound);
  }
  return text;
}

}  // namespace

std::string print_plan(const Plan& plan) {
  std::string text = headline(plan) + table(plan);
  text += fmt::format("  KV: {} B per row and layer (keys and values of {} x {} in {}, position)\n",
                      plan.row_bytes, count(plan.kv_heads, "head"), plan.head_dim,
                      dtype_info(plan.shape.kv_dtype).name);
  text += policy_lines(plan) + pipeline_lines(plan) + limit_lines(plan);
  for (const std::string& note : plan.notes) text += "  note: " + note + "\n";
  return text;
}

}  // namespace varve
