#include "kernels/cuda/attend_mma_launch.h"

namespace varve::cuda {

MmaLaunches mma_launches_64(RowFormat format) {
  return mma_launches<64>(format);
}

}  // namespace varve::cuda
