// When a cache policy wants the rows of a document compacted, as steps.
#pragma once

#include <cstdint>

#include "common/policy/policy_config.h"

namespace varve {

struct CompactionTimes {
  bool document = false;     // once the prefix is read
  bool question = false;     // each question's copy of the prefix, once the question is read
  std::uint32_t period = 0;  // no step of the prefix crosses a multiple of this many rows; 0: none
};

CompactionTimes compaction_times(const PolicyConfig& policy);

}  // namespace varve
