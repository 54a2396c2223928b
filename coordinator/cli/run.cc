#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <thread>

#include "common/error.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/rank.h"
#include "worker/comm/mpi_communicator.h"
#include "worker/comm/thread_communicator.h"

namespace varve {
namespace {

constexpr std::chrono::milliseconds kMeetLimit = std::chrono::minutes(1);
constexpr std::chrono::milliseconds kVerdictGrace{200};

// What run_rank throws is a failure before the control plane stood, which nobody else will report.
int run_rank_reporting(Communicator& comm, const CommandLine& line, ProcessEnd& end) {
  try {
    return run_rank(
        comm, [&line] { return prepare_job(line); }, end);
  } catch (const Error& e) {
    std::fprintf(stderr, "varve: rank %d: %s\n", comm.rank(), e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "varve: rank %d: internal error: %s\n", comm.rank(), e.what());
    return static_cast<int>(ExitCode::kOther);
  }
}

int run_as_mpi_rank(const CommandLine& line, ProcessEnd& end) {
  MpiSession session;
  int code = 0;
  {
    const std::unique_ptr<Communicator> comm = session.communicator(kMeetLimit);
    code = run_rank_reporting(*comm, line, end);
  }
  if (code == 0) {
    session.finalize(kMeetLimit);
  } else if (end.notice()) {
    // The verdict is out, or the rank that writes it does so now. MPI_Abort is the only way to end
    // a stopped rank within a second: an exit leaves mpirun two more (docs/mpi-failures.md).
    std::this_thread::sleep_for(kVerdictGrace);
    MpiSession::hard_abort(static_cast<ExitCode>(code));
  }
  return code;
}

int run_as_threads(const CommandLine& line, std::size_t ranks, ProcessEnd& end) {
  ThreadWorld world(static_cast<int>(ranks));
  std::vector<int> codes(ranks, 0);
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      const std::unique_ptr<Communicator> comm = world.communicator(static_cast<int>(rank));
      codes[rank] = run_rank_reporting(*comm, line, end);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto failed = std::find_if(codes.begin(), codes.end(), [](int code) { return code != 0; });
  return codes[0] != 0 || failed == codes.end() ? codes[0] : *failed;
}

}  // namespace

int run_command(const CommandLine& line) {
  ProcessEnd end;
  const ClusterConfig cluster = read_cluster_of(line);
  const bool launched = detect_launch().has_value();
  if (cluster.transport == Transport::kMpi && !launched) {
    throw ConfigError("cluster.transport is mpi, but no launcher started this process; use mpirun");
  }
  if (launched && cluster.transport != Transport::kThreads) return run_as_mpi_rank(line, end);
  return run_as_threads(line, cluster.ranks.value_or(1), end);
}

}  // namespace varve
