// Ranks as threads for tests: what a test would do with mpirun, inside one process.
#pragma once

#include <chrono>
#include <functional>

#include "worker/comm/thread_communicator.h"

namespace varve {

struct SpawnOptions {
  ThreadOptions threads{.check_sent_bytes = true};
  /// For all ranks together; past it every rank is cancelled and spawn throws.
  std::chrono::milliseconds limit = std::chrono::seconds(60);
};

/// Runs `rank(communicator)` once on each of n threads and returns when all have returned. The
/// first exception cancels the other ranks and is thrown again here. A rank that ignores its
/// cancellation (it neither returns nor waits on its communicator) is waited for; the test's own
/// limit ends it.
void spawn(int n, const std::function<void(Communicator&)>& rank, SpawnOptions options = {});

}  // namespace varve
