// `varve eval` on the ranks of a run.
#pragma once

#include <memory>

#include "common/config/cluster_config.h"
#include "common/config/eval_config.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/task.h"

namespace varve {

/// Reads both files; every problem of them is one ConfigError.
std::unique_ptr<Task> make_eval_task(const CommandLine& line);

}  // namespace varve
