#include "common/config/validate.h"

#include <cstdio>

#include "common/error.h"
#include "coordinator/cli/command_line.h"

namespace varve {

int validate_command(const CommandLine& line) {
  const std::vector<std::string> problems =
      validate_files(line.job, line.cluster, split_overrides(line.overrides));
  for (const std::string& problem : problems) std::fprintf(stderr, "%s\n", problem.c_str());
  if (!problems.empty()) return static_cast<int>(ExitCode::kUsage);
  std::printf("%s: no problem found\n", line.job.c_str());
  return 0;
}

}  // namespace varve
