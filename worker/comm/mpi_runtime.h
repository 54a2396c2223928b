// Internal to worker/comm: what the communicators of one MpiSession share. Includes mpi.h.
#pragma once

#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "worker/comm/backoff.h"
#include "worker/comm/mpi_communicator.h"

namespace varve {

/// A call that MPI refused, in its own words.
struct MpiFailure : PeerError {
  using PeerError::PeerError;
};

/// MpiFailure unless the code is MPI_SUCCESS.
void check_mpi(int code, const char* call);

/// Bytes of a message as MPI wants them: a count of a datatype.
class MessageType {
 public:
  MessageType(std::size_t bytes, std::size_t block_bytes);
  ~MessageType();
  MessageType(const MessageType&) = delete;
  MessageType& operator=(const MessageType&) = delete;
  int count() const { return count_; }
  MPI_Datatype type() const { return type_; }

 private:
  int count_;
  MPI_Datatype type_ = MPI_BYTE;
};

/// The lock around MPI, the sends under way, and the thread that progresses them while the rank
/// computes. Open MPI 4 progresses only inside calls (ompi_info: "OMPI progress: no"), so a large
/// send would otherwise stand still until its rank's next call.
class MpiRuntime {
 public:
  explicit MpiRuntime(MpiOptions options);
  ~MpiRuntime();
  MpiRuntime(const MpiRuntime&) = delete;
  MpiRuntime& operator=(const MpiRuntime&) = delete;

  const MpiOptions& options() const { return options_; }

  /// Runs `call` with the lock held. PeerError with the reason if MPI was abandoned.
  template <class Call>
  auto locked(Call&& call) {
    const std::lock_guard lock(mutex_);
    throw_if_abandoned();
    ++foreground_calls_;
    if (std::exchange(paused_, false)) work_.notify_one();
    return call();
  }

  std::uint64_t start_send(std::span<const std::byte> bytes, int peer, Tag tag, MPI_Comm comm);
  /// Whether the send is done; then it is forgotten. Progresses MPI.
  bool send_done(std::uint64_t id);
  /// Sends of this communicator (of all: MPI_COMM_NULL) not seen to be done. Does not progress
  /// them.
  std::size_t unfinished(MPI_Comm comm);

  /// No MPI call any more: it still refers to memory that is going away.
  void abandon(const std::string& reason);
  bool abandoned();
  /// Stops progress in the background until the next call: an error is on its way up, and the
  /// buffers of sends may go with it.
  void pause();

 private:
  struct Request {
    MPI_Request request;  // null when done
    MPI_Comm comm;
    int error;
  };

  void throw_if_abandoned() const;
  void progress_loop(const std::stop_token& stop);
  /// One poll of a send, whose request is not null. The lock is held.
  void test(Request& send);

  const MpiOptions options_;
  std::mutex mutex_;  // also held during every MPI call
  std::condition_variable_any work_;
  std::map<std::uint64_t, Request> sends_;
  std::uint64_t next_id_ = 1;
  std::size_t active_ = 0;  // sends whose request is not null
  std::uint64_t foreground_calls_ = 0;
  bool paused_ = false;
  std::string abandoned_;
  std::jthread progress_;  // last: it uses the fields above
};

}  // namespace varve
