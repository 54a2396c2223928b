#include "kernels/cuda/attend_mma_launch.h"

namespace varve::cuda {

MmaLaunches mma_launches_96(RowFormat format) {
  return mma_launches<96>(format);
}

}  // namespace varve::cuda
