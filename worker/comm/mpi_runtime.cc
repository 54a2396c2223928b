#include "worker/comm/mpi_runtime.h"

#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/error.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

constexpr auto kProgressInterval = 100us;

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw PeerError(
      fmt::format("{}: {}", call, std::string_view(text.data(), static_cast<std::size_t>(length))));
}

MessageType::MessageType(std::size_t bytes, std::size_t block_bytes)
    : count_(static_cast<int>(bytes)) {
  if (bytes <= block_bytes) return;
  const int blocks = static_cast<int>(bytes / block_bytes);
  const std::size_t rest = bytes % block_bytes;
  MPI_Datatype block{};
  MPI_Datatype whole{};
  check_mpi(MPI_Type_contiguous(static_cast<int>(block_bytes), MPI_BYTE, &block), "MPI_Type");
  check_mpi(MPI_Type_contiguous(blocks, block, &whole), "MPI_Type");
  const std::array<int, 2> counts{1, static_cast<int>(rest)};
  const std::array<MPI_Aint, 2> offsets{0, static_cast<MPI_Aint>(bytes - rest)};
  const std::array<MPI_Datatype, 2> types{whole, MPI_BYTE};
  check_mpi(MPI_Type_create_struct(2, counts.data(), offsets.data(), types.data(), &type_),
            "MPI_Type_create_struct");
  check_mpi(MPI_Type_commit(&type_), "MPI_Type_commit");
  MPI_Type_free(&block);
  MPI_Type_free(&whole);
  count_ = 1;
}

MessageType::~MessageType() {
  // A transfer under way keeps its own reference.
  if (type_ != MPI_BYTE) MPI_Type_free(&type_);
}

MpiRuntime::MpiRuntime(MpiOptions options)
    : options_(options), progress_([this](const std::stop_token& stop) { progress_loop(stop); }) {}

MpiRuntime::~MpiRuntime() = default;

std::uint64_t MpiRuntime::start_send(std::span<const std::byte> bytes, int peer, Tag tag,
                                     MPI_Comm comm) {
  const std::uint64_t id = locked([&] {
    const MessageType type(bytes.size(), options_.block_bytes);
    Request send{MPI_REQUEST_NULL, comm, MPI_SUCCESS};
    check_mpi(MPI_Isend(bytes.data(), type.count(), type.type(), peer, static_cast<int>(tag), comm,
                        &send.request),
              "MPI_Isend");
    ++active_;
    test(send);  // a small one is done by now and needs no progress
    sends_.emplace(next_id_, send);
    return next_id_++;
  });
  work_.notify_one();
  return id;
}

bool MpiRuntime::send_done(std::uint64_t id) {
  return locked([&] {
    const auto entry = sends_.find(id);
    VARVE_CHECK(entry != sends_.end(), "send {} is not pending", id);
    Request& send = entry->second;
    if (send.request != MPI_REQUEST_NULL) test(send);
    if (send.request != MPI_REQUEST_NULL) return false;
    const int error = send.error;
    sends_.erase(entry);
    check_mpi(error, "MPI_Isend");
    return true;
  });
}

std::size_t MpiRuntime::unfinished(MPI_Comm comm) {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(sends_.begin(), sends_.end(), [comm](const auto& entry) {
        const Request& send = entry.second;
        return (comm == MPI_COMM_NULL || send.comm == comm) && send.request != MPI_REQUEST_NULL;
      }));
}

void MpiRuntime::abandon(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (abandoned_.empty()) abandoned_ = reason;
}

bool MpiRuntime::abandoned() {
  const std::lock_guard lock(mutex_);
  return !abandoned_.empty();
}

void MpiRuntime::pause() {
  const std::lock_guard lock(mutex_);
  paused_ = true;
}

void MpiRuntime::throw_if_abandoned() const {
  if (!abandoned_.empty()) {
    throw PeerError("MPI is not used any more in this process: " + abandoned_);
  }
}

void MpiRuntime::test(Request& send) {
  int done = 0;
  send.error = MPI_Test(&send.request, &done, MPI_STATUS_IGNORE);
  if (send.error != MPI_SUCCESS) send.request = MPI_REQUEST_NULL;
  if (send.request == MPI_REQUEST_NULL) --active_;
}

void MpiRuntime::progress_loop(const std::stop_token& stop) {
  // The default slack of 50 us would stretch each interval by half. Of this thread only.
  prctl(PR_SET_TIMERSLACK, 1);
  std::unique_lock lock(mutex_);
  const auto needed = [this] { return active_ > 0 && !paused_ && abandoned_.empty(); };
  while (work_.wait(lock, stop, needed) && !stop.stop_requested()) {
    // A rank that polls by itself progresses everything; the thread would only get in its way.
    const std::uint64_t calls = foreground_calls_;
    lock.unlock();
    std::this_thread::sleep_for(kProgressInterval);
    lock.lock();
    if (calls != foreground_calls_ || !needed()) continue;
    for (auto& [id, send] : sends_) {
      if (send.request != MPI_REQUEST_NULL) test(send);
    }
  }
}

}  // namespace varve
