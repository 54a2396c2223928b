#include "kernels/cuda/attend_mma_launch.h"

namespace varve::cuda {

MmaLaunches mma_launches_256(RowFormat format) {
  return mma_launches<256>(format);
}

}  // namespace varve::cuda
