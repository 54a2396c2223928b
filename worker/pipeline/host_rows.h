// Activations through host memory and the Communicator: what every backend and every transport can.
#pragma once

#include "kernels/ops.h"
#include "worker/comm/row_transport.h"

namespace varve {

/// A backend that computes in host memory receives where it computes. A device's rows are copied to
/// the host and back, and wait for the device. `comm` and `ops` must outlive it.
std::unique_ptr<RowTransport> make_host_rows(Communicator& comm, Ops& ops);

}  // namespace varve
