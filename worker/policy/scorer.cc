#include "worker/policy/scorer.h"

#include <array>

#include "common/error.h"

namespace varve {
namespace {

struct Row {
  std::string_view name;
  std::unique_ptr<Scorer> (*make)(const PolicyConfig& policy);
};

constexpr std::array kScorers = {
    Row{"position", make_position_scorer},
    Row{"window", make_window_scorer},
    Row{"accumulated", make_accumulated_scorer},
    Row{"key_norm", make_key_norm_scorer},
    Row{"key_difference", make_key_difference_scorer},
    Row{"expected_attention", make_expected_attention_scorer},
    Row{"guided", make_guided_scorer},
};

}  // namespace

std::unique_ptr<Scorer> make_scorer(const PolicyConfig& policy) {
  for (const Row& row : kScorers) {
    if (row.name == policy.scorer.name) return row.make(policy);
  }
  VARVE_CHECK(false, "no scorer '{}'", policy.scorer.name);
  return nullptr;
}

}  // namespace varve
