// `varve eval` on the ranks of a run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/config/cluster_config.h"
#include "common/config/eval_config.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/task.h"

namespace varve {

/// Reads both files; every problem of them is one ConfigError.
std::unique_ptr<Task> make_eval_task(const CommandLine& line);

/// Those problems one by one, and how policies and lengths suit the model, if it can be read.
std::vector<std::string> eval_problems(const CommandLine& line);

}  // namespace varve
