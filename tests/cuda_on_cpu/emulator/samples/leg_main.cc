// leg BUG: runs the sample that has this bug, or all without one, in a sanitizer's build. Exits
// with 0 if nothing was found, 1 if the values or the emulator showed it; the sanitizers end it
// otherwise.
#include <cstdio>
#include <cstdlib>

#include "kernels/cuda/gpu.h"
#include "tests/cuda_on_cpu/emulator/samples/verdict.h"

namespace varve::samples {
namespace {

// Each lane reads what the next one wrote. On the emulator the shuffle gives the right values too:
// only the thread sanitizer can tell.
__global__ void pass_within_warp(unsigned* out, Bug bug) {
  VARVE_DYNAMIC_SHARED(memory);
  auto* const shared = reinterpret_cast<unsigned*>(memory);
  shared[threadIdx.x] = threadIdx.x;
  if (bug == Bug::kShuffleForSyncwarp) {
    __shfl_sync(~0U, threadIdx.x, 0);
  } else {
    __syncwarp();
  }
  out[threadIdx.x] = shared[(threadIdx.x + 1) % 32];
}

void run_pass_within_warp(Bug bug) {
  unsigned out[32];
  gpu::launch<pass_within_warp>({dim3(1), dim3(32), sizeof out}, &out[0], bug);
}

}  // namespace
}  // namespace varve::samples

int main(int argc, char** argv) {
  using namespace varve::samples;
  const Bug bug = static_cast<Bug>(argc > 1 ? std::atoi(argv[1]) : 0);
  if (bug == Bug::kNone || bug == Bug::kShuffleForSyncwarp) run_pass_within_warp(bug);
  const Verdict verdict = judge(bug);
  std::puts(to_string(verdict).c_str());
  return verdict.clean() ? 0 : 1;
}
