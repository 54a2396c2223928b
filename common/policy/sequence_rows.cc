#include "common/policy/sequence_rows.h"

#include <algorithm>

#include "common/policy/decode_schedule.h"

namespace varve {

RowRoom document_room(const PolicyConfig& policy, std::size_t budget, std::size_t rows) {
  if (policy.compaction.name != "per_chunk" || rows <= budget) return {rows, true};
  std::size_t between = policy.compaction.count("rows");
  const bool late = policy.scorer.name == "guided" && policy.scorer.choice("scope") == "global";
  if (late) between *= 1 + policy.scorer.count("lag");
  if (reads_locally(policy, budget, rows)) budget -= own_kept_rows(policy, budget);
  return {std::min(rows, budget + between), false};
}

bool reads_locally(const PolicyConfig& policy, std::size_t budget, std::size_t rows) {
  return policy.scorer.name == "guided" && policy.scorer.choice("encode") == "local" &&
         rows > budget;
}

std::size_t own_kept_rows(const PolicyConfig& policy, std::size_t budget) {
  const Protected sides = protected_rows(policy, budget);
  return budget - sides.first - sides.last;
}

std::size_t probed_rows(const PolicyConfig& policy, std::size_t budget, std::size_t rows) {
  const RowRoom room = document_room(policy, budget, rows);
  if (policy.scorer.name != "guided" || room.shared_positions) return 0;
  if (!reads_locally(policy, budget, rows)) return room.rows;
  return room.rows - protected_rows(policy, budget).first + own_kept_rows(policy, budget);
}

bool votes(const PolicyConfig& policy, std::size_t layer, std::size_t layers) {
  if (policy.scorer.choice("votes") == "all") return true;
  const std::size_t begin = layers / 4;
  const std::size_t end = std::max(begin + 1, (2 * layers + 2) / 3);
  return layer >= begin && layer < end;
}

std::size_t pool_budget(const PolicyConfig& policy, std::size_t budget, std::size_t document_rows) {
  if (policy.budget.kind != Budget::Kind::kTokens || budget < document_rows) return budget;
  return std::max(budget, static_cast<std::size_t>(policy.budget.value));
}

RowRoom question_room(const PolicyConfig& policy, std::size_t budget, std::size_t kept,
                      const OwnRows& own) {
  if (policy.decode.name == "one_pool") {
    if (kept + own.total() <= budget) return {own.total(), true};
    return {std::min(kept + own.total(), budget + own.prompt + 1), false};
  }
  const DecodeSchedule schedule(policy.decode, own.answer);
  if (!schedule.has_pool() || schedule.peak_rows() >= own.answer) return {own.total(), true};
  return {std::min(own.total(), own.prompt + schedule.peak_rows()), false};
}

bool outlives_context(const PolicyConfig& policy) {
  return policy.compaction.name == "per_chunk" && policy.positions == Positions::kCompact;
}

std::size_t next_position(const PolicyConfig& policy, std::size_t kept, std::size_t rows) {
  return policy.positions == Positions::kCompact ? kept : rows;
}

}  // namespace varve
