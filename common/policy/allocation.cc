#include "common/policy/allocation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/error.h"
#include "common/policy/kept_bytes.h"

namespace varve {
namespace {

double sum_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

std::vector<std::uint32_t> equal_parts(std::size_t total, std::size_t count) {
  std::vector<std::uint32_t> parts(count, static_cast<std::uint32_t>(total / count));
  for (std::size_t i = 0; i < total % count; ++i) ++parts[i];
  return parts;
}

// Real budgets within bounds and of the sum `total`, which the bounds allow. Each turn shares out
// what is left in proportion, and fixes those on the side where more is out of bounds: they would
// stay there, as what they leave over only moves the others towards the other bound.
class Sharing {
 public:
  Sharing(std::span<const double> wanted, double total, double least, double most)
      : least_(least), most_(most), left_(total) {
    for (const double w : wanted) shares_.push_back({std::max(w, 0.0), 0, false});
  }

  std::vector<double> run() {
    while (!settled()) {
    }
    std::vector<double> out;
    for (const Share& s : shares_) out.push_back(s.value);
    return out;
  }

 private:
  struct Share {
    double wanted;
    double value;
    bool fixed;
  };

  bool settled() {
    spread();
    double above = 0;
    double below = 0;
    for (const Share& s : shares_) {
      if (s.fixed) continue;
      above += std::max(0.0, s.value - most_);
      below += std::max(0.0, least_ - s.value);
    }
    if (above == 0 && below == 0) return true;
    fix(above >= below);
    return false;
  }

  void spread() {
    double wanted = 0;
    double count = 0;
    for (const Share& s : shares_) {
      if (s.fixed) continue;
      wanted += s.wanted;
      ++count;
    }
    for (Share& s : shares_) {
      if (!s.fixed) s.value = wanted > 0 ? left_ * s.wanted / wanted : left_ / count;
    }
  }

  void fix(bool above) {
    const double bound = above ? most_ : least_;
    double taken = 0;
    for (Share& s : shares_) {
      if (s.fixed || (above ? s.value <= most_ : s.value >= least_)) continue;
      s.value = bound;
      s.fixed = true;
      taken += bound;
    }
    left_ -= taken;
  }

  double least_;
  double most_;
  double left_;  // for those that are not fixed
  std::vector<Share> shares_;
};

// Whole parts, then one more for the largest fractions until the sum is `total`.
std::vector<std::uint32_t> largest_fractions(std::span<const double> values, std::size_t total) {
  constexpr double kSlack = 1e-6;  // a whole number that arithmetic left just short of itself
  std::vector<std::uint32_t> out;
  std::size_t sum = 0;
  for (const double v : values) {
    out.push_back(static_cast<std::uint32_t>(std::floor(v + kSlack)));
    sum += out.back();
  }
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return values[a] - out[a] > values[b] - out[b] + kSlack;
  });
  VARVE_CHECK(sum <= total && total - sum <= values.size(), "whole parts {} of {}", sum, total);
  for (std::size_t i = 0; i < total - sum; ++i) ++out[order[i]];
  return out;
}

// From c * 2 - min in the first layer down to min = c / beta in the last, c being the budget
// without the protected end; real steps, so that the mean is the budget.
std::vector<double> pyramid(const PolicyConfig& policy, std::size_t budget, std::size_t rows,
                            std::size_t layers) {
  const auto end = static_cast<double>(protected_rows(policy, budget).last);
  const double c = static_cast<double>(budget) - end;
  double low = std::floor(c / policy.allocation.get("beta"));
  double high = 2 * c - low;
  if (high > static_cast<double>(rows) - end) {
    high = static_cast<double>(rows) - end;
    low = 2 * c - high;
  }
  std::vector<double> wanted;
  for (std::size_t l = 0; l < layers; ++l) {
    const double depth =
        layers == 1 ? 0.5 : static_cast<double>(l) / static_cast<double>(layers - 1);
    wanted.push_back(end + high - (high - low) * depth);
  }
  return wanted;
}

std::vector<double> by_uncertainty(const PolicyConfig& policy, std::size_t budget,
                                   std::span<const float> uncertainty) {
  const bool inverse = policy.allocation.choice("inverse") == "yes";
  const double mean = static_cast<double>(budget);
  const double bound = policy.allocation.get("floor") * mean;
  std::vector<double> need;
  for (const float u : uncertainty) {
    VARVE_CHECK(std::isfinite(u) && u >= 0, "a layer's uncertainty is {}", u);
    // A layer that needs nothing at all would take everything if its inverse counted.
    need.push_back(inverse ? 1 / std::max(static_cast<double>(u), 1.0) : static_cast<double>(u));
  }
  const double sum = sum_of(need);
  const auto layers = static_cast<double>(need.size());
  for (double& n : need) n = bound + (mean - bound) * layers * (sum > 0 ? n / sum : 1 / layers);
  return need;
}

}  // namespace

std::vector<std::uint32_t> round_budgets(std::span<const double> wanted, std::size_t total,
                                         std::size_t least, std::size_t most) {
  VARVE_CHECK(!wanted.empty() && least <= most, "{} budgets between {} and {}", wanted.size(),
              least, most);
  const std::size_t count = wanted.size();
  if (total >= count * most) return equal_parts(count * most, count);
  if (total <= count * least) return equal_parts(total, count);
  Sharing sharing(wanted, static_cast<double>(total), static_cast<double>(least),
                  static_cast<double>(most));
  return largest_fractions(sharing.run(), total);
}

std::size_t budget_rows(const PolicyConfig& policy, std::size_t rows, const ModelConfig& model,
                        DType kv_dtype) {
  if (!drops_document_rows(policy) || rows == 0) return rows;
  if (policy.budget.kind != Budget::Kind::kBytes) {
    return std::max<std::size_t>(1, share_of(policy.budget, rows));
  }
  const auto per_layer = static_cast<std::size_t>(policy.budget.value) / model.layers;
  std::size_t most = 1;  // fits, or is the least there can be
  std::size_t too_many = rows + 1;
  while (too_many - most > 1) {
    const std::size_t middle = most + (too_many - most) / 2;
    const bool fits = kept_bytes(policy, model, middle, kv_dtype).held <= per_layer;
    (fits ? most : too_many) = middle;
  }
  return most;
}

bool needs_uncertainty(const PolicyConfig& policy) {
  return drops_document_rows(policy) && policy.allocation.name == "uncertainty";
}

std::vector<std::uint32_t> layer_budgets(const PolicyConfig& policy, std::size_t budget,
                                         std::size_t rows, std::size_t layers,
                                         std::span<const float> uncertainty) {
  budget = std::min(budget, rows);
  const std::string& name = policy.allocation.name;
  std::vector<double> wanted;
  if (name == "pyramid") wanted = pyramid(policy, budget, rows, layers);
  if (name == "uncertainty" && needs_uncertainty(policy)) {
    VARVE_CHECK(uncertainty.size() == layers, "the uncertainty of {} of {} layers",
                uncertainty.size(), layers);
    wanted = by_uncertainty(policy, budget, uncertainty);
  }
  if (wanted.empty() || budget == rows) {
    return std::vector<std::uint32_t>(layers, static_cast<std::uint32_t>(budget));
  }
  const Protected kept = protected_rows(policy, budget);
  const std::size_t least = std::min(budget, kept.first + kept.last + 1);
  return round_budgets(wanted, layers * budget, least, rows);
}

}  // namespace varve
