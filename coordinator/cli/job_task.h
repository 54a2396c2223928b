// `varve run` on the ranks of a run.
#pragma once

#include <memory>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/task.h"

namespace varve {

/// Reads both files; every problem of them is one ConfigError.
std::unique_ptr<Task> make_job_task(const CommandLine& line);

}  // namespace varve
