// How a budget becomes whole rows per layer. Pure arithmetic: the planner and every rank get the
// same numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/policy/policy_config.h"

namespace varve {

/// Whole budgets in proportion to `wanted`, each at least `least` and at most `most`, whose sum is
/// exactly `total`. What a bound takes from one is shared by the others in proportion, until none
/// is out of bounds; then remainders go to the largest fractions, the first one where they are
/// equal. A total that the bounds do not allow is met as nearly as they do: `most` for all, or, as
/// `least` is a wish where it cannot be had, `total` in equal parts.
std::vector<std::uint32_t> round_budgets(std::span<const double> wanted, std::size_t total,
                                         std::size_t least, std::size_t most);

/// Rows per key head and layer, on average, that the policy keeps of a document of `rows` rows: at
/// least 1, at most all. A size is the bytes of what is kept in all layers (kept_bytes), counted
/// for equal parts.
std::size_t budget_rows(const PolicyConfig& policy, std::size_t rows, const ModelConfig& model,
                        DType kv_dtype);

/// Rows per key head of each layer; their sum is layers x min(budget, rows), exactly. `uncertainty`
/// [layers] is what the allocation of that name goes by (each layer's LMBA), else not looked at.
std::vector<std::uint32_t> layer_budgets(const PolicyConfig& policy, std::size_t budget,
                                         std::size_t rows, std::size_t layers,
                                         std::span<const float> uncertainty = {});

/// Whether layer_budgets wants `uncertainty`, and so a look at every layer of the model.
bool needs_uncertainty(const PolicyConfig& policy);

}  // namespace varve
