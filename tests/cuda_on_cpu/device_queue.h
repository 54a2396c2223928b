// The seam between what launches kernels (the emulator, the PTX interpreter) and the fake CUDA
// runtime, whose streams the launches go to.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>

namespace varve::fakes {

/// Puts work on a stream of the fake runtime: it runs when the fake device runs, or becomes a node
/// of the graph that the stream captures. `what` names it in reports. `work` may be run more than
/// once (a graph is launched more than once). KernelError at once for a null, unknown or destroyed
/// stream, and for one of a device that is not the calling thread's; what `work` throws surfaces
/// where the host waits.
void enqueue(cudaStream_t stream, std::string what, std::function<void()> work);

}  // namespace varve::fakes
