#include "tests/cuda_on_cpu/fakes/nccl_comm.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <random>
#include <utility>

#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {

ncclResult_t refuse(Call& call, ncclResult_t result, const std::string& why) {
  call.explain(why);
  return result;
}

ncclResult_t Communicator::connect() {
  const ncclResult_t result = mesh->advance();
  if (result != ncclSuccess) return result;
  std::vector<Hello> members = mesh->hellos();
  const std::int32_t color = members[static_cast<std::size_t>(rank)].color;
  const std::int32_t self = rank;
  std::erase_if(members, [color](const Hello& hello) { return hello.color != color; });
  std::stable_sort(members.begin(), members.end(),
                   [](const Hello& x, const Hello& y) { return x.key < y.key; });
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].rank == self) rank = static_cast<int>(i);
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    links.push_back(std::make_unique<Link>(rank, static_cast<int>(i), mesh->take(members[i].rank)));
  }
  size = static_cast<int>(members.size());
  mesh.reset();
  return ncclSuccess;
}

void Communicator::fail(const std::string& why) {
  failure = why;
  error = ncclInternalError;
}

bool Communicator::progress() {
  bool moved = false;
  for (const auto& link : links) {
    moved |= link->progress();
    if (link->lost() && error == ncclSuccess) error = ncclRemoteError;
  }
  return moved;
}

ncclResult_t Communicator::poll(Call& call) {
  if (polls > 0) {
    --polls;
    return ncclInProgress;
  }
  if (mesh != nullptr) {
    const ncclResult_t result = connect();
    if (result == ncclInProgress) return result;
    if (result != ncclSuccess) call.explain(mesh->why());
    error = result;
  }
  for (const auto& go_on : std::exchange(deferred, {})) go_on(call);
  if (aborted || finalized || !failure.empty()) return error;
  const DeviceOpen open(Machine::get().memory().arena());
  try {
    progress();
  } catch (const KernelError& disagreement) {
    fail(disagreement.what());
  }
  return error;
}

ncclResult_t wait_for_ranks(Call& call, const std::vector<std::shared_ptr<Communicator>>& comms) {
  Machine& machine = call.machine();
  const auto start = Machine::Clock::now();
  while (true) {
    const Communicator* waiting = nullptr;
    for (const auto& comm : comms) {
      if (comm->mesh == nullptr) continue;
      const ncclResult_t result = comm->connect();
      if (result == ncclInProgress) waiting = comm.get();
      if (result != ncclInProgress && result != ncclSuccess) {
        return refuse(call, result, comm->mesh->why());
      }
    }
    if (waiting == nullptr) return ncclSuccess;
    const auto waited = Machine::Clock::now() - start;
    if (waited > machine.settings().deadline) {
      return refuse(call, ncclSystemError,
                    fmt::format("rank {} of {} waited in vain for rank {}", waiting->rank,
                                waiting->size, waiting->mesh->missing()));
    }
    if (waited > Machine::kPatience) machine.advance(nullptr);
    call.rest();
  }
}

namespace {

constexpr char kIdMagic[] = "varve fake NCCL";

std::string name_in(const ncclUniqueId& id) {
  const char* begin = id.internal + sizeof kIdMagic;
  return {begin, strnlen(begin, sizeof id.internal - sizeof kIdMagic)};
}

ncclResult_t check_config(Call& call, const ncclConfig_t* config) {
  if (config == nullptr) return ncclSuccess;
  if (config->magic != 0xcafebeef) {
    return refuse(call, ncclInvalidArgument, "the config was not made with its initializer");
  }
  if (config->blocking != NCCL_CONFIG_UNDEF_INT && config->blocking != 0 && config->blocking != 1) {
    return refuse(call, ncclInvalidArgument, fmt::format("blocking is {}", config->blocking));
  }
  return ncclSuccess;
}

bool blocks(const ncclConfig_t* config, bool otherwise) {
  if (config == nullptr || config->blocking == NCCL_CONFIG_UNDEF_INT) return otherwise;
  return config->blocking == 1;
}

// Gives out the handle, and waits for the ranks unless that comes later.
ncclResult_t begin(Call& call, ncclComm_t* handle, std::shared_ptr<Communicator> comm) {
  *handle = new ncclComm{comm};
  if (!comm->blocking) {
    comm->polls = 1;
    return ncclInProgress;
  }
  if (group_is_open()) {
    add_to_group(std::move(comm));
    return ncclSuccess;
  }
  const ncclResult_t result = wait_for_ranks(call, {comm});
  if (result == ncclSuccess) return result;
  delete std::exchange(*handle, nullptr);
  return result;
}

int machine_device(Call& call) {
  return call.machine().settings().devices[static_cast<std::size_t>(call.thread().device)];
}

ncclResult_t init(Call& call, ncclComm_t* handle, int size, const ncclUniqueId& id, int rank,
                  const ncclConfig_t* config) {
  if (handle == nullptr) return refuse(call, ncclInvalidArgument, "no place for the communicator");
  *handle = nullptr;
  if (call.check_device(call.thread().device) != cudaSuccess) return ncclUnhandledCudaError;
  if (size < 1 || rank < 0 || rank >= size) {
    return refuse(call, ncclInvalidArgument, fmt::format("rank {} of {}", rank, size));
  }
  if (std::memcmp(id.internal, kIdMagic, sizeof kIdMagic) != 0) {
    return refuse(call, ncclInvalidArgument, "not an id of ncclGetUniqueId");
  }
  if (const auto result = check_config(call, config)) return result;
  auto comm = std::make_shared<Communicator>();
  comm->rank = rank;
  comm->size = size;
  comm->device = call.thread().device;
  comm->blocking = blocks(config, true);
  comm->name = name_in(id);
  comm->mesh = std::make_unique<Mesh>(comm->name, Hello{rank, size, machine_device(call), 0, rank});
  return begin(call, handle, std::move(comm));
}

ncclResult_t check(Call& call, ncclComm_t handle) {
  if (handle != nullptr) return ncclSuccess;
  return refuse(call, ncclInvalidArgument, "no communicator");
}

ncclResult_t split(Call& call, ncclComm_t parent_handle, int color, int key, ncclComm_t* handle,
                   const ncclConfig_t* config) {
  if (const auto result = check(call, parent_handle)) return result;
  Communicator& parent = *parent_handle->it;
  if (!parent.usable()) return refuse(call, ncclInvalidUsage, "the communicator is not ready");
  if (color < 0 && color != NCCL_SPLIT_NOCOLOR) {
    return refuse(call, ncclInvalidArgument, fmt::format("color {}", color));
  }
  if (const auto result = check_config(call, config)) return result;
  auto comm = std::make_shared<Communicator>();
  comm->rank = parent.rank;
  comm->size = parent.size;
  comm->device = parent.device;
  comm->name = fmt::format("{}.{}", parent.name, parent.splits++);
  comm->blocking = color == NCCL_SPLIT_NOCOLOR || blocks(config, parent.blocking);
  const int device = call.machine().settings().devices[static_cast<std::size_t>(parent.device)];
  comm->mesh =
      std::make_unique<Mesh>(comm->name, Hello{parent.rank, parent.size, device, color, key});
  // Its own name: colors of one split must not meet again when they are split.
  comm->name += fmt::format(".{}", color);
  const ncclResult_t result = begin(call, handle, std::move(comm));
  if (color == NCCL_SPLIT_NOCOLOR && result == ncclSuccess) {
    delete std::exchange(*handle, nullptr);
  }
  return result;
}

ncclResult_t finalize(Call& call, Communicator& comm) {
  if (comm.finalized || comm.aborted) return ncclSuccess;
  try {
    call.machine().drive(call, nullptr, [&comm] { return comm.settled(); });
  } catch (const KernelError& error) {
    call.machine().report_later(error.what());
    return refuse(call, ncclInternalError, error.what());
  }
  for (const auto& link : comm.links) link->say_goodbye();
  comm.finalized = true;
  return ncclSuccess;
}

void abort(Communicator& comm) {
  comm.aborted = true;
  comm.mesh.reset();
  comm.deferred.clear();
  comm.links.clear();  // without a goodbye: the others see that this rank is lost
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

ncclResult_t ncclGetVersion(int* version) {
  if (version == nullptr) return ncclInvalidArgument;
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (id == nullptr) return ncclInvalidArgument;
  std::random_device random;
  const std::string name = fmt::format("{:08x}{:08x}", random(), random());
  *id = {};
  std::memcpy(id->internal, varve::fakes::kIdMagic, sizeof varve::fakes::kIdMagic);
  name.copy(id->internal + sizeof varve::fakes::kIdMagic, name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* handle, int size, ncclUniqueId id, int rank) {
  Call call("ncclCommInitRank");
  return varve::fakes::init(call, handle, size, id, rank, nullptr);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* handle, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  Call call("ncclCommInitRankConfig");
  return varve::fakes::init(call, handle, size, id, rank, config);
}

ncclResult_t ncclCommSplit(ncclComm_t parent, int color, int key, ncclComm_t* handle,
                           ncclConfig_t* config) {
  Call call("ncclCommSplit");
  return varve::fakes::split(call, parent, color, key, handle, config);
}

ncclResult_t ncclCommCount(const ncclComm_t handle, int* count) {
  Call call("ncclCommCount");
  if (const auto result = varve::fakes::check(call, handle)) return result;
  *count = handle->it->size;
  return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t handle, int* rank) {
  Call call("ncclCommUserRank");
  if (const auto result = varve::fakes::check(call, handle)) return result;
  *rank = handle->it->rank;
  return ncclSuccess;
}

ncclResult_t ncclCommCuDevice(const ncclComm_t handle, int* device) {
  Call call("ncclCommCuDevice");
  if (const auto result = varve::fakes::check(call, handle)) return result;
  *device = handle->it->device;
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* error) {
  Call call("ncclCommGetAsyncError", Call::Kind::kPoll);
  if (const auto result = varve::fakes::check(call, handle)) return result;
  // The copy: what was deferred may end the handle's communicator's last other owner.
  const auto comm = handle->it;
  *error = comm->poll(call);
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t handle) {
  Call call("ncclCommFinalize");
  if (const auto result = varve::fakes::check(call, handle)) return result;
  const ncclResult_t result = varve::fakes::finalize(call, *handle->it);
  if (result != ncclSuccess || handle->it->blocking) return result;
  handle->it->polls = 1;
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  Call call("ncclCommDestroy");
  if (handle == nullptr) return ncclSuccess;
  const ncclResult_t result = varve::fakes::finalize(call, *handle->it);
  varve::fakes::abort(*handle->it);
  delete handle;
  return result;
}

ncclResult_t ncclCommAbort(ncclComm_t handle) {
  Call call("ncclCommAbort");
  if (handle == nullptr) return ncclSuccess;
  varve::fakes::abort(*handle->it);
  delete handle;
  return ncclSuccess;
}

const char* ncclGetLastError(ncclComm_t) {
  return varve::fakes::HostThread::current().refusal.c_str();
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError:
      return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
      return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument:
      return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage:
      return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

}  // extern "C"
