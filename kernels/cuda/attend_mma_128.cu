#include "kernels/cuda/attend_mma_launch.h"

namespace varve::cuda {

MmaLaunches mma_launches_128(RowFormat format) {
  return mma_launches<128>(format);
}

}  // namespace varve::cuda
