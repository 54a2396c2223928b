// A cache policy as the job asks for it: one component per slot, a budget, and what stays in any
// case. The same on every rank; what it decides depends on it and on counts alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/dtype.h"
#include "common/model/model_config.h"
#include "common/policy/budget.h"
#include "common/policy/component.h"

namespace varve {

/// Positions that kept rows have for later queries.
enum class Positions : std::uint8_t {
  kOriginal,  // where they stood in the text; queries go on counting the text
  kCompact,   // 0, 1, 2, ...; queries go on counting the rows that are held
};

struct PolicyConfig {
  std::string preset = "full";  // that it is, or began as
  Component scorer = make_component("none");
  Component allocation = make_component("uniform");
  Component compaction = make_component("never");
  Component decode = make_component("keep");
  Component storage = make_component("float");
  Budget budget{};
  std::uint32_t keep_first = 0;                // rows kept at the start (sinks)
  Budget keep_last{Budget::Kind::kTokens, 0};  // and at the end: tokens, or percent of the budget
  Positions positions = Positions::kOriginal;

  Component& slot(Slot slot);
  const Component& slot(Slot slot) const;
  bool operator==(const PolicyConfig&) const = default;
};
template <class A>
void visit(A& a, PolicyConfig& p) {
  a(p.preset, p.scorer, p.allocation, p.compaction, p.decode, p.storage, p.budget, p.keep_first,
    p.keep_last, p.positions);
}

/// Of the rules by which policies decide, for receipts: raised when one of them changes.
inline constexpr std::uint32_t kPolicyVersion = 1;

/// One line with all that is set.
std::string describe(const PolicyConfig& policy);
/// Of describe() and kPolicyVersion, the same on every machine. The preset's name does not count.
std::uint64_t hash_of(const PolicyConfig& policy);

/// Whether it drops rows of the document, and so wants a budget.
bool drops_document_rows(const PolicyConfig& policy);
/// Whether it leaves every row where and as it is.
bool is_full(const PolicyConfig& policy);

/// The format of rows in few bits; nothing for the slot's float.
std::optional<DType> storage_dtype(const PolicyConfig& policy);
/// Newest rows of the frozen part, per key head, that stay float; 0 for the slot's float.
std::size_t storage_tail(const PolicyConfig& policy);

/// Rows that stay whatever their scores.
struct Protected {
  std::size_t first = 0;
  std::size_t last = 0;
};
/// Of a budget of `budget` rows. The rows of a scorer's window are protected where they are the
/// document's own.
Protected wanted_protection(const PolicyConfig& policy, std::size_t budget);
/// The same of one layer's budget per key head: together at most that.
Protected protected_rows(const PolicyConfig& policy, std::size_t budget);

/// Queries whose attention tells a layer's uncertainty where the scorer has no window of its own.
inline constexpr std::size_t kUncertaintyWindow = 32;

/// By-products of attention that a scorer wants kept, per layer and sequence.
struct ObservedNeeds {
  std::size_t last_queries = 0;  // q after rotation, lse and position of so many
  bool mass = false;             // attention that each row has received
  bool query_moments = false;    // mean and second moment of the queries before rotation

  bool any() const { return last_queries > 0 || mass || query_moments; }
  bool operator==(const ObservedNeeds&) const = default;
};
/// What serves both.
ObservedNeeds operator|(const ObservedNeeds& a, const ObservedNeeds& b);
/// Of a document whose rows are to be compacted; and of the answers, if they are read before that.
ObservedNeeds document_needs(const PolicyConfig& policy);
/// For the decode slot, of a question's sequence.
ObservedNeeds answer_needs(const PolicyConfig& policy);
/// Bytes of them where `rows` rows can receive mass: q [w, Hq * D], lse [w, Hq], positions [w],
/// mass [Hkv, rows]; in double, per query head, mean [D] and second moment [D, D].
std::size_t observed_bytes(const ModelConfig& model, const ObservedNeeds& needs, std::size_t rows);

}  // namespace varve
