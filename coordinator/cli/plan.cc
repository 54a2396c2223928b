#include <cstdio>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/prepared_job.h"

namespace varve {

int plan_command(const CommandLine& line) {
  const PreparedJob job = prepare_job(read_job_files(line));
  const Plan plan = plan_job(job, site_here(job.cluster));
  const std::string text = line.json ? to_json(plan) + "\n" : print_plan(plan);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace varve
