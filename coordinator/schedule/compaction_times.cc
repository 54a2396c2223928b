#include "coordinator/schedule/compaction_times.h"

namespace varve {

CompactionTimes compaction_times(const PolicyConfig& policy) {
  const std::string& name = policy.compaction.name;
  CompactionTimes times;
  times.document = name == "after_document" || name == "per_chunk";
  times.question = name == "after_question";
  if (name == "per_chunk") {
    times.period = static_cast<std::uint32_t>(policy.compaction.count("rows"));
  }
  return times;
}

}  // namespace varve
