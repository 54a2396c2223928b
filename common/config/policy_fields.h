// cache.policy and cache.budget of a job: a preset's name, a file, or a map of what differs from a
// preset.
#pragma once

#include "common/config/reader.h"
#include "common/policy/policy_config.h"

namespace varve {

/// `policy` is absent, a preset, a YAML file that holds what may stand here, or a map:
///   preset: snapkv                     # what is not named below; default full
///   scorer: {window: 64}               # a slot: parameters of the preset's component,
///   allocation: uncertainty            # or another component with its defaults,
///   storage: {int4: {tail: 64}}        # or with parameters
///   keep: {first: 4, last: 50%}        # last: tokens, or a share of the budget
///   positions: compact                 # or original
void read_policy_slots(const ConfigNode& policy, bool check_files, PolicyConfig& out);

/// The same and its budget. Reports contradictions, too, unless something else was wrong.
void read_policy(const ConfigNode& policy, const ConfigNode& budget, bool check_files,
                 PolicyConfig& out);

}  // namespace varve
