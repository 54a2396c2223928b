#include "worker/comm/mpi_communicator.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <limits>
#include <thread>
#include <utility>

#include "worker/comm/communicator_base.h"
#include "worker/comm/mpi_runtime.h"

namespace varve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTransferPause = std::chrono::microseconds(20);
constexpr auto kDestructorLimit = std::chrono::seconds(5);
constexpr auto kAbortLimit = std::chrono::seconds(1);

class MpiCommunicator final : public CommunicatorBase {
 public:
  /// Takes over `comm`, which MPI_Finalize frees: MPI_Comm_free is collective, and a rank that
  /// unwinds has nobody to meet.
  MpiCommunicator(std::shared_ptr<MpiRuntime> runtime, MPI_Comm comm)
      : runtime_(std::move(runtime)), comm_(comm) {
    runtime_->locked([this] {
      check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
      check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
    });
  }
  ~MpiCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  PendingSend send(std::span<const std::byte> bytes, int peer, Tag tag) override;
  void wait(PendingSend send, Waiting waiting) override;
  void recv(std::span<std::byte> into, int peer, Tag tag, Waiting waiting) override;
  std::vector<std::byte> recv_message(int peer, Tag tag, Waiting waiting) override;
  bool arrived(int peer, Tag tag) override;
  void cancel(const std::string& reason) override;
  std::optional<std::string> cancelled() const override;

 private:
  struct Call {
    Awaited awaited;
    Waiting waiting;
    Clock::time_point since = Clock::now();
  };

  std::optional<std::size_t> probe(int peer, Tag tag);
  std::size_t wait_for_message(const Call& call);
  void receive(std::span<std::byte> into, const Call& call);
  /// Polls until `ready`, which runs under the lock of the runtime unless it takes it itself.
  template <class Ready>
  void poll(const Call& call, Ready ready, Backoff backoff = Backoff());
  void throw_if_cancelled(const Call& call) const;

  const std::shared_ptr<MpiRuntime> runtime_;
  const MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 0;
  std::map<std::uint64_t, Awaited> sends_;
  mutable std::mutex cancel_mutex_;
  std::optional<std::string> cancelled_;
};

MpiCommunicator::~MpiCommunicator() {
  const std::size_t sends = runtime_->unfinished(comm_);
  if (sends > 0) {
    runtime_->abandon(
        fmt::format("rank {} ended its communicator with {} unfinished sends", rank_, sends));
  }
}

PendingSend MpiCommunicator::send(std::span<const std::byte> bytes, int peer, Tag tag) {
  check_address(peer, tag);
  const Awaited awaited{peer, tag, bytes.size(), true};
  std::uint64_t id = 0;
  poll({awaited, {{}, "a send"}}, [&] {
    id = runtime_->start_send(bytes, peer, tag, comm_);
    return true;
  });
  count_sent(bytes.size(), tag);
  sends_.emplace(id, awaited);
  return {id};
}

void MpiCommunicator::wait(PendingSend send, Waiting waiting) {
  const auto entry = sends_.find(send.id);
  VARVE_CHECK(entry != sends_.end(), "rank {} waits for send {}, which is not pending", rank_,
              send.id);
  poll({entry->second, waiting}, [&] { return runtime_->send_done(send.id); });
  sends_.erase(entry);
}

void MpiCommunicator::recv(std::span<std::byte> into, int peer, Tag tag, Waiting waiting) {
  const Call call{{peer, tag, into.size(), false}, waiting};
  const std::size_t size = wait_for_message(call);
  if (size != into.size()) fail_size(call.awaited, waiting.what, size);
  receive(into, call);
}

std::vector<std::byte> MpiCommunicator::recv_message(int peer, Tag tag, Waiting waiting) {
  const Call call{{peer, tag, std::nullopt, false}, waiting};
  std::vector<std::byte> message(wait_for_message(call));
  receive(message, call);
  return message;
}

bool MpiCommunicator::arrived(int peer, Tag tag) {
  check_address(peer, tag);
  return probe(peer, tag).has_value();
}

void MpiCommunicator::cancel(const std::string& reason) {
  const std::lock_guard lock(cancel_mutex_);
  if (!cancelled_) cancelled_ = reason;
}

std::optional<std::string> MpiCommunicator::cancelled() const {
  const std::lock_guard lock(cancel_mutex_);
  return cancelled_;
}

std::optional<std::size_t> MpiCommunicator::probe(int peer, Tag tag) {
  return runtime_->locked([&]() -> std::optional<std::size_t> {
    int here = 0;
    MPI_Status status{};
    check_mpi(MPI_Iprobe(peer, static_cast<int>(tag), comm_, &here, &status), "MPI_Iprobe");
    if (!here) return std::nullopt;
    MPI_Count bytes = 0;
    check_mpi(MPI_Get_elements_x(&status, MPI_BYTE, &bytes), "MPI_Get_elements_x");
    return static_cast<std::size_t>(bytes);
  });
}

std::size_t MpiCommunicator::wait_for_message(const Call& call) {
  check_address(call.awaited.peer, call.awaited.tag);
  std::optional<std::size_t> size;
  poll(call, [&] {
    size = probe(call.awaited.peer, call.awaited.tag);
    return size.has_value();
  });
  return *size;
}

void MpiCommunicator::receive(std::span<std::byte> into, const Call& call) {
  MPI_Request request = MPI_REQUEST_NULL;
  runtime_->locked([&] {
    const MessageType type(into.size(), runtime_->options().block_bytes);
    check_mpi(MPI_Irecv(into.data(), type.count(), type.type(), call.awaited.peer,
                        static_cast<int>(call.awaited.tag), comm_, &request),
              "MPI_Irecv");
  });
  const auto done = [&] {
    return runtime_->locked([&] {
      int flag = 0;
      check_mpi(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
      return flag != 0;
    });
  };
  try {
    // Without single copy Open MPI moves about 100 KiB per poll: seldom polls would be the limit.
    poll(call, done, Backoff(kTransferPause));
  } catch (const std::exception& error) {
    // MPI would go on writing into memory that this call gave up.
    runtime_->abandon(error.what());
    throw;
  }
}

template <class Ready>
void MpiCommunicator::poll(const Call& call, Ready ready, Backoff backoff) {
  try {
    throw_if_cancelled(call);
    while (!ready()) {
      throw_if_cancelled(call);
      if (Clock::now() - call.since >= call.waiting.limit) {
        fail(call.awaited, call.waiting.what, call.since);
      }
      backoff.pause();
    }
  } catch (const MpiFailure& failure) {
    runtime_->pause();
    fail(call.awaited, call.waiting.what, call.since, failure.what());
  } catch (...) {
    runtime_->pause();
    throw;
  }
}

void MpiCommunicator::throw_if_cancelled(const Call& call) const {
  if (const auto reason = cancelled()) {
    fail(call.awaited, call.waiting.what, call.since, *reason);
  }
}

/// Polls a collective that every rank must enter.
void meet(MpiRuntime& runtime, MPI_Request request, std::chrono::milliseconds limit,
          std::string_view what) {
  const auto since = Clock::now();
  Backoff backoff;
  const auto met = [&] {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  };
  while (!runtime.locked(met)) {
    if (Clock::now() - since >= limit) {
      int rank = 0;
      MPI_Comm_rank(MPI_COMM_WORLD, &rank);
      const std::string late = fmt::format("rank {} waited {} for the other ranks to {}", rank,
                                           waited_text(Clock::now() - since), what);
      runtime.abandon(late);
      throw PeerError(late);
    }
    backoff.pause();
  }
}

/// Ends the process unless destroyed in time.
class Watchdog {
 public:
  Watchdog(std::chrono::milliseconds limit, ExitCode code)
      : thread_([limit, code](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any never;
          std::unique_lock lock(mutex);
          never.wait_for(lock, stop, limit, [] { return false; });
          if (!stop.stop_requested()) std::_Exit(static_cast<int>(code));
        }) {}

 private:
  std::jthread thread_;
};

bool mpi_is_up() {
  int initialized = 0;
  int finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized && !finalized;
}

// -1 if it is none, or there is none.
int parse_count(const char* text) {
  if (text == nullptr) return -1;
  char* end = nullptr;
  const long count = std::strtol(text, &end, 10);
  const bool good = end != text && *end == '\0' && count >= 0 && count <= 1'000'000;
  return good ? static_cast<int>(count) : -1;
}

}  // namespace

MpiSession::MpiSession(MpiOptions options) {
  VARVE_CHECK(options.block_bytes > 0 &&
                  options.block_bytes <= std::size_t{std::numeric_limits<int>::max()},
              "blocks of {} bytes", options.block_bytes);
  int initialized = 0;
  MPI_Initialized(&initialized);
  VARVE_CHECK(!initialized, "a second MPI session in one process");
  // Open MPI writes to its TCP connections without MSG_NOSIGNAL: a peer that dies on another host
  // would kill this process before it could say who was lost.
  std::signal(SIGPIPE, SIG_IGN);
  int provided = 0;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_SERIALIZED) {
    throw DeviceError(fmt::format(
        "this MPI offers thread level {}; MPI_THREAD_SERIALIZED ({}) is needed for sends that "
        "progress while a rank computes",
        provided, static_cast<int>(MPI_THREAD_SERIALIZED)));
  }
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  runtime_ = std::make_shared<MpiRuntime>(options);
}

MpiSession::~MpiSession() {
  if (runtime_->abandoned() || std::uncaught_exceptions() > 0) {
    runtime_->abandon("the session ended with an error");
    return;
  }
  try {
    finalize(kDestructorLimit);
  } catch (const std::exception&) {
    // The reason is kept by abandon(); a caller that wants it calls finalize.
  }
}

int MpiSession::rank() const {
  int rank = 0;
  runtime_->locked([&] { check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank"); });
  return rank;
}

int MpiSession::size() const {
  int size = 0;
  runtime_->locked([&] { check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size"); });
  return size;
}

std::unique_ptr<Communicator> MpiSession::communicator(std::chrono::milliseconds limit) {
  MPI_Comm comm = MPI_COMM_NULL;
  MPI_Request request = MPI_REQUEST_NULL;
  runtime_->locked(
      [&] { check_mpi(MPI_Comm_idup(MPI_COMM_WORLD, &comm, &request), "MPI_Comm_idup"); });
  meet(*runtime_, request, limit, "make a communicator");
  runtime_->locked([&] {
    check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  });
  return std::make_unique<MpiCommunicator>(runtime_, comm);
}

void MpiSession::finalize(std::chrono::milliseconds limit) {
  const std::size_t sends = runtime_->unfinished(MPI_COMM_NULL);
  VARVE_CHECK(sends == 0, "MPI ends while {} sends are under way", sends);
  MPI_Request request = MPI_REQUEST_NULL;
  runtime_->locked([&] { check_mpi(MPI_Ibarrier(MPI_COMM_WORLD, &request), "MPI_Ibarrier"); });
  meet(*runtime_, request, limit, "finish");
  const Watchdog watchdog(limit, ExitCode::kRankLost);
  runtime_->locked([] { check_mpi(MPI_Finalize(), "MPI_Finalize"); });
  runtime_->abandon("MPI is finalized");
}

void MpiSession::hard_abort(ExitCode code) {
  // Without the lock: a thread that is stuck inside MPI holds it.
  const Watchdog watchdog(kAbortLimit, code);
  if (mpi_is_up()) MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));
}

std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) != MPI_SUCCESS) return "unknown";
  // Open MPI goes on with who built it and when.
  const std::string_view all(text.data(), static_cast<std::size_t>(length));
  return std::string(all.substr(0, all.find_first_of(",\n")));
}

std::optional<Launch> detect_launch(const std::function<const char*(const char*)>& lookup) {
  const auto get = [&](const char* name) {
    return lookup ? lookup(name) : static_cast<const char*>(std::getenv(name));
  };
  // In order of how sure the size is: Open MPI's mpirun also sets PMIX_RANK, srun may set both.
  struct Names {
    const char* size;
    const char* rank;
  };
  constexpr std::array kLaunchers{Names{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                                  Names{"PMI_SIZE", "PMI_RANK"},
                                  Names{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};
  for (const Names& names : kLaunchers) {
    const int size = parse_count(get(names.size));
    if (size > 0) return Launch{names.size, size, parse_count(get(names.rank))};
  }
  for (const char* name : {"PMIX_RANK", "PMI_RANK"}) {
    if (get(name) != nullptr) return Launch{name, 0, parse_count(get(name))};
  }
  return std::nullopt;
}

}  // namespace varve
