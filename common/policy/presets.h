// The named cache policies: a paper is a row of this table.
#pragma once

#include <span>
#include <string_view>

#include "common/policy/policy_config.h"

namespace varve {

struct Preset {
  PolicyConfig policy;  // policy.preset is the name; without a budget, which the job gives
  std::string_view summary;
  bool training_free = true;
  std::string_view memory;     // when it falls
  std::string_view published;  // the authors' figure with its condition; empty: none that we read
  std::string_view measured;   // by this program, with its condition; empty: nothing yet
};

std::span<const Preset> presets();
/// Null if there is none of that name.
const Preset* find_preset(std::string_view name);

}  // namespace varve
