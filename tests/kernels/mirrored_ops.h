// A backend with memory of its own, seen as one that computes in host memory: every verb's operands
// are copied there, and what it may write is copied back. So the tests of ops, which look at what
// they pass, run on all backends alike. Operands that overlap on the host overlap on the device.
#pragma once

#include <memory>

#include "kernels/ops.h"

namespace varve::test {

/// VARVE_OPS_LOG names a file that gets a line for everything that a verb wrote, with a hash of its
/// bits: so two ways to run the same kernels can be compared over all that tests do with them.
/// Weights come from `prepare` and stay on the device, as does memory from `allocate`, which may be
/// an operand, too.
std::unique_ptr<Ops> make_mirrored_ops(std::unique_ptr<Ops> device);

}  // namespace varve::test
