// nvcc leaves some functions of its own as functions (reductions of large angles, say). The
// interpreter has no stack: their code is put where they are called.
#pragma once

#include "tests/cuda_on_cpu/ptx/syntax.h"

namespace varve::ptx {

/// The function with all calls inlined, except those of functions that the module does not have,
/// and of recursion beyond some levels.
Function inline_calls(const Module& module, const Function& function);

}  // namespace varve::ptx
