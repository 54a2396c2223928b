#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <future>
#include <thread>

#include "common/error.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/job_task.h"
#include "coordinator/cli/rank.h"
#include "coordinator/cli/start_limit.h"
#include "worker/comm/mpi_communicator.h"
#include "worker/comm/thread_communicator.h"

namespace varve {
namespace {

using std::chrono::milliseconds;

// For the ranks that do not know the start deadline, because only rank 0 reads the files.
constexpr milliseconds kStartLimit = std::chrono::minutes(10);
constexpr milliseconds kFinishLimit = std::chrono::minutes(1);

// What run_rank throws is a failure before the control plane stood, which nobody else will report.
RankEnd run_rank_reporting(Communicator& comm, const RankContext& context) {
  try {
    return run_rank(comm, context);
  } catch (const Error& e) {
    std::fprintf(stderr, "varve: rank %d: %s\n", comm.rank(), e.what());
    return {static_cast<int>(e.code()), false};
  } catch (const std::exception& e) {
    std::fprintf(stderr, "varve: rank %d: internal error: %s\n", comm.rank(), e.what());
    return {static_cast<int>(ExitCode::kOther), false};
  }
}

// MPI_Abort is the only way to end a stopped rank within a second: an exit leaves a launcher two
// more (docs/mpi-failures.md).
void leave_mpi(ExitCode code) {
  ExitTimer::flush_streams();
  if (code == ExitCode::kRankLost) MpiSession::hard_abort(code);
  ExitTimer::leave_process(code);
}

milliseconds start_limit(const Launch& launch, const RankContext& context) {
  if (launch.rank != 0) return kStartLimit;
  try {
    return context.task().cluster().deadlines.start;
  } catch (const Error&) {
    return kStartLimit;  // rank 0 says what is wrong once it can tell the others to end
  }
}

int run_as_mpi_rank(const TaskMaker& make, const Launch& launch, Supervisor& supervisor) {
  ProcessEnd process_end(leave_mpi);
  // Made on rank 0 alone, once: a mistake is said once, and the files need not be on every host.
  const std::shared_future<std::shared_ptr<Task>> task =
      std::async(std::launch::deferred, [&] {
        std::shared_ptr<Task> made = make();
        if (made->cluster().transport == Transport::kThreads) {
          throw ConfigError(fmt::format(
              "cluster.transport is threads, but a launcher started {} processes ({}): start one, "
              "or leave the transport out",
              launch.size, launch.variable));
        }
        return made;
      }).share();
  const RankContext context{[&]() -> Task& { return *task.get(); }, process_end, &supervisor};
  std::optional<StartLimit> starting;
  const milliseconds limit = start_limit(launch, context);
  starting.emplace(name_of(launch), limit);
  MpiSession session;
  std::unique_ptr<Communicator> comm = session.communicator(limit);
  starting.reset();
  const bool first = comm->rank() == 0;
  const RankEnd end = run_rank_reporting(*comm, context);
  comm.reset();
  if (end.together) {
    // Rank 0 first, so that one rank complains if they do not meet.
    session.finalize(first ? kFinishLimit : 2 * kFinishLimit);
    return end.code;
  }
  if (const auto notice = process_end.notice()) {
    std::this_thread::sleep_for(ProcessEnd::time_to_write(*notice));
  }
  MpiSession::hard_abort(static_cast<ExitCode>(end.code));
}

int run_as_threads(Task& task) {
  ProcessEnd process_end;
  const std::size_t ranks = task.cluster().ranks.value_or(1);
  const RankContext context{[&task]() -> Task& { return task; }, process_end};
  ThreadWorld world(static_cast<int>(ranks));
  std::vector<int> codes(ranks, 0);
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const std::unique_ptr<Communicator> comm = world.communicator(static_cast<int>(rank));
      codes[rank] = run_rank_reporting(*comm, context).code;
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto failed = std::find_if(codes.begin(), codes.end(), [](int code) { return code != 0; });
  return codes[0] != 0 || failed == codes.end() ? codes[0] : *failed;
}

}  // namespace

int run_task(const TaskMaker& make) {
  const std::optional<Launch> launch = detect_launch();
  if (!launch || launch->size == 1) {
    const std::unique_ptr<Task> task = make();
    const Transport transport = task->cluster().transport;
    if (transport == Transport::kMpi && !launch) {
      throw ConfigError(
          "cluster.transport is mpi, but no launcher started this process; use mpirun");
    }
    if (!launch || transport == Transport::kThreads) return run_as_threads(*task);
  }
  Supervisor supervisor({.name = name_of(*launch), .say = {}});
  if (const std::optional<int> code = supervisor.run()) return *code;
  return run_as_mpi_rank(make, *launch, supervisor);
}

int run_command(const CommandLine& line) {
  return run_task([&line] { return make_job_task(line); });
}

}  // namespace varve
