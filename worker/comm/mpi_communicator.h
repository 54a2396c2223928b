// Ranks as processes under an MPI launcher. mpi.h stays out of this header.
//
// Only one thread of the process is inside MPI at a time (MPI_THREAD_SERIALIZED, one lock), which
// every launcher's MPI offers and which costs one uncontended lock per poll. Nothing blocks inside
// MPI: each wait polls, so that each has a deadline and can be cancelled.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/error.h"
#include "worker/comm/communicator.h"

namespace varve {

class MpiRuntime;

struct MpiOptions {
  /// Longer messages are described to MPI as blocks of this many bytes, because a count of bytes is
  /// an int there. At most 2^31 - 1.
  std::size_t block_bytes = std::size_t{1} << 30;
};

/// MPI from MPI_Init_thread to MPI_Finalize. At most one per process, made and ended by one thread.
class MpiSession {
 public:
  /// Collective. PeerError if MPI is missing a thread level or fails.
  explicit MpiSession(MpiOptions options = {});
  /// Finalizes if nothing went wrong, at most 5 s. Else leaves MPI as it is: the process must then
  /// end with a code other than zero, and the launcher ends the others.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const;
  int size() const;

  /// Collective: a communicator whose messages cannot meet those of another. Not used after
  /// finalize.
  std::unique_ptr<Communicator> communicator(std::chrono::milliseconds limit);

  /// Collective, when all sends were waited for: meets the other ranks, then MPI_Finalize.
  /// PeerError if they do not come within the limit. If MPI_Finalize itself then hangs (a rank died
  /// inside it), the process ends with kRankLost after the same limit once more.
  void finalize(std::chrono::milliseconds limit);

  /// Ends this process and asks the launcher to end the others, at once, from any thread and in
  /// whatever state MPI is: MPI_Abort, or _Exit if that does not return within a second. What the
  /// launcher then returns: docs/mpi-failures.md.
  [[noreturn]] static void hard_abort(ExitCode code);

 private:
  std::shared_ptr<MpiRuntime> runtime_;
};

/// "Open MPI v4.1.4", as the library at hand says.
std::string mpi_version();

/// What the environment says about the launcher that started this process.
struct Launch {
  std::string_view variable;  // that told
  int size;                   // ranks; 0 if the launcher does not say
  int rank;                   // of this process; -1 if the launcher does not say
};

/// Nothing if no launcher started this process. Does not initialise MPI. `lookup` is getenv but for
/// tests. A Slurm batch script is not a step with ranks and counts as no launcher.
std::optional<Launch> detect_launch(const std::function<const char*(const char*)>& lookup = {});

}  // namespace varve
