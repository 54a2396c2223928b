// `varve inspect`: the page of an audited run.
#include <cstdio>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/inspect/audit_file.h"
#include "coordinator/inspect/page.h"
#include "coordinator/jobs/atomic_file.h"
#include "coordinator/jobs/output_dir.h"

namespace varve {
namespace {

namespace fs = std::filesystem;

fs::path run_json_of(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path;
  const OutputPaths paths = output_paths(path);
  if (!fs::exists(paths.run, ignored) && fs::exists(paths.verdict, ignored)) {
    throw IoError(fmt::format("{}: is not there, since the run was ended; {} says why",
                              paths.run.string(), paths.verdict.string()));
  }
  return paths.run;
}

}  // namespace

int inspect_command(const InspectLine& line) {
  const fs::path run_json = run_json_of(line.run);
  const RunFacts run = read_run_facts(run_json);
  if (run.audit.empty()) {
    throw ConfigError(
        fmt::format("{}: the run kept no audit; set output.audit: true in the job, "
                    "and run it again",
                    run_json.string()));
  }
  const fs::path page = line.page.value_or(run_json.parent_path() / "audit.html");
  write_file_atomically(page, inspect_page(run, read_audit(run.audit)));
  std::printf("%s\n", page.c_str());
  return 0;
}

}  // namespace varve
