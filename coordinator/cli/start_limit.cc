#include "coordinator/cli/start_limit.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "common/error.h"
#include "common/host_name.h"

namespace varve {

std::string name_of(const Launch& launch) {
  return launch.rank >= 0 ? fmt::format("rank {} on {}", launch.rank, host_name())
                          : fmt::format("the rank of process {} on {}", getpid(), host_name());
}

StartLimit::StartLimit(const std::string& name, std::chrono::milliseconds limit)
    : timer_([name, limit](ExitCode code) {
        std::fprintf(stderr,
                     "varve: %s waited %g s for the other ranks to start MPI (start deadline) "
                     "(exit code %d)\n",
                     name.c_str(), std::chrono::duration<double>(limit).count(),
                     static_cast<int>(code));
        ExitTimer::leave_process(code);
      }) {
  timer_.end_process_after(limit, ExitCode::kRankLost);
}

}  // namespace varve
