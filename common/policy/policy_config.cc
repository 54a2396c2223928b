#include "common/policy/policy_config.h"

#include <algorithm>

#include "common/error.h"

namespace varve {
namespace {

ObservedNeeds needs_of(const Component& scorer) {
  ObservedNeeds needs;
  if (scorer.name == "window") needs.last_queries = scorer.count("window");
  needs.mass = scorer.name == "accumulated";
  needs.query_moments = scorer.name == "expected_attention";
  return needs;
}

std::string_view name_of(Positions positions) {
  return positions == Positions::kCompact ? "compact" : "original";
}

}  // namespace

Component& PolicyConfig::slot(Slot which) {
  return const_cast<Component&>(static_cast<const PolicyConfig&>(*this).slot(which));
}

const Component& PolicyConfig::slot(Slot which) const {
  switch (which) {
    case Slot::kScorer:
      return scorer;
    case Slot::kAllocation:
      return allocation;
    case Slot::kCompaction:
      return compaction;
    case Slot::kDecode:
      return decode;
    case Slot::kStorage:
      return storage;
  }
  VARVE_CHECK(false, "slot {}", static_cast<int>(which));
  return scorer;
}

std::string describe(const PolicyConfig& policy) {
  std::string text;
  for (const Slot slot : slots()) {
    text += fmt::format("{}: {}; ", varve::name_of(slot), to_string(policy.slot(slot)));
  }
  return text + fmt::format("budget: {}; keep: first {}, last {}; positions: {}",
                            to_string(policy.budget), policy.keep_first,
                            to_string(policy.keep_last), name_of(policy.positions));
}

std::uint64_t hash_of(const PolicyConfig& policy) {
  // FNV-1a: any fixed hash will do, as long as it never changes.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : fmt::format("{} {}", kPolicyVersion, describe(policy))) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

bool drops_document_rows(const PolicyConfig& policy) {
  return policy.scorer.name != "none" && policy.compaction.name != "never";
}

bool is_full(const PolicyConfig& policy) {
  return !drops_document_rows(policy) && policy.decode.name == "keep" &&
         policy.storage.name == "float";
}

std::optional<DType> storage_dtype(const PolicyConfig& policy) {
  if (policy.storage.name == "float") return std::nullopt;
  if (policy.storage.name == "int8") return DType::kInt8;
  if (policy.storage.name == "int4") return DType::kInt4;
  VARVE_CHECK(policy.storage.name == "int2", "storage '{}'", policy.storage.name);
  return DType::kInt2;
}

std::size_t storage_tail(const PolicyConfig& policy) {
  return storage_dtype(policy) ? policy.storage.count("tail") : 0;
}

Protected wanted_protection(const PolicyConfig& policy, std::size_t budget) {
  const Budget& last = policy.keep_last;
  Protected kept{policy.keep_first, static_cast<std::size_t>(last.value)};
  if (last.kind == Budget::Kind::kPercent) kept.last = share_of(last, budget);
  const bool own_window =
      policy.scorer.name == "window" && policy.compaction.name != "after_question";
  if (own_window) kept.last = std::max(kept.last, policy.scorer.count("window"));
  return kept;
}

Protected protected_rows(const PolicyConfig& policy, std::size_t budget) {
  Protected kept = wanted_protection(policy, budget);
  kept.first = std::min(kept.first, budget);
  kept.last = std::min(kept.last, budget - kept.first);
  return kept;
}

ObservedNeeds operator|(const ObservedNeeds& a, const ObservedNeeds& b) {
  return {.last_queries = std::max(a.last_queries, b.last_queries),
          .mass = a.mass || b.mass,
          .query_moments = a.query_moments || b.query_moments};
}

ObservedNeeds document_needs(const PolicyConfig& policy) {
  if (!drops_document_rows(policy)) return {};
  ObservedNeeds needs = needs_of(policy.scorer);
  if (policy.allocation.name == "uncertainty") {
    needs.last_queries = std::max(needs.last_queries, kUncertaintyWindow);
  }
  return policy.compaction.name == "after_question" ? needs | answer_needs(policy) : needs;
}

ObservedNeeds answer_needs(const PolicyConfig& policy) {
  if (policy.decode.name == "keep") return {};
  if (policy.decode.name == "one_pool") return needs_of(policy.scorer);
  return {.last_queries = 1, .mass = false, .query_moments = false};  // of the current step
}

std::size_t observed_bytes(const ModelConfig& model, const ObservedNeeds& needs, std::size_t rows) {
  const std::size_t query =
      sizeof(float) * (model.q_width() + model.q_heads) + sizeof(std::int32_t);
  const std::size_t moments = sizeof(double) * model.q_heads * model.head_dim;
  std::size_t bytes = needs.last_queries * query;
  if (needs.mass) bytes += sizeof(float) * model.kv_heads * rows;
  if (needs.query_moments) bytes += moments * (1 + model.head_dim);
  return bytes;
}

}  // namespace varve
