// Activations from device to device over NCCL.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "worker/comm/row_transport.h"

namespace varve {

/// "NCCL 2.28.9", of the library at hand; empty in a build without it.
std::string nccl_version();

/// Connects this rank's device, the calling thread's current one, with those of the peers, one
/// after the other in this order; they do the same with it. `queue` is Ops::queue() of the backend
/// whose memory the rows are in. It and `comm` must outlive the result. A rank that waits in vain,
/// is cancelled or hears of a failure aborts the link, so that no device hangs in it, and throws
/// PeerError with NCCL's own words. DeviceError in a build without NCCL.
std::unique_ptr<RowTransport> make_nccl_rows(Communicator& comm, std::span<const int> peers,
                                             void* queue, Waiting waiting);

}  // namespace varve
