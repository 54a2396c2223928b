#include "common/config/policy_table.h"

#include <array>

namespace varve {
namespace {

constexpr std::array kPolicies = {
    PolicyInfo{"full", "keeps every row of every layer; exact"},
};

}  // namespace

std::span<const PolicyInfo> policies() {
  return kPolicies;
}

}  // namespace varve
