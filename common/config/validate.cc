#include "common/config/validate.h"

#include "common/config/cluster_config.h"
#include "common/config/job_config.h"
#include "common/config/problems.h"

namespace varve {

Overrides split_overrides(std::span<const std::string> overrides) {
  Overrides out;
  for (const std::string& text : overrides) {
    (text.starts_with("cluster.") ? out.cluster : out.job).push_back(text);
  }
  return out;
}

std::vector<std::string> validate_files(const std::filesystem::path& job,
                                        const std::optional<std::filesystem::path>& cluster,
                                        const Overrides& overrides) {
  Problems problems;
  read_job(job, {overrides.job, true}, problems);
  if (cluster) {
    read_cluster(*cluster, {overrides.cluster, true}, problems);
  } else {
    read_cluster_text("cluster defaults", "{}", {overrides.cluster, true}, problems);
  }
  return problems.lines();
}

}  // namespace varve
