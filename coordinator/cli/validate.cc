#include "common/config/validate.h"

#include <cstdio>

#include "common/config/cluster_config.h"
#include "common/config/eval_config.h"
#include "common/config/job_config.h"
#include "common/error.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/eval_task.h"
#include "worker/model/model.h"

namespace varve {

namespace {

// Of the policy alone: whether the model itself is sound is known once it is read whole.
std::vector<Contradiction> check_against_model(const JobConfig& job, const ClusterConfig& cluster) {
  if (is_full(job.policy)) return {};
  try {
    const Model model = load_model_header(job.model);
    return contradictions_with(job.policy, model.config(), job.kv_dtype, cluster.ranks.value_or(1));
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

int validate_command(const CommandLine& line) {
  const std::vector<std::string> problems =
      is_eval_file(line.job) ? eval_problems(line)
                             : validate_files(line.job, line.cluster,
                                              split_overrides(line.overrides), check_against_model);
  for (const std::string& problem : problems) std::fprintf(stderr, "%s\n", problem.c_str());
  if (!problems.empty()) return static_cast<int>(ExitCode::kUsage);
  std::printf("%s: no problem found\n", line.job.c_str());
  return 0;
}

}  // namespace varve
