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
                                        const Overrides& overrides, const ModelCheck& check) {
  Problems problems;
  const JobConfig read = read_job(job, {overrides.job, true}, problems);
  const ReadOptions options{overrides.cluster, true};
  const ClusterConfig machines =
      cluster ? read_cluster(*cluster, options, problems)
              : read_cluster_text("cluster defaults", "{}", options, problems);
  if (check && !read.model.empty()) {
    for (const Contradiction& c : check(read, machines)) {
      problems.add({job.string(), 0, 0}, "cache." + c.path, c.text);
    }
  }
  return problems.lines();
}

}  // namespace varve
