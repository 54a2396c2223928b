// What this machine can do at most, measured: a speed is worth little without the limit beside it.
#pragma once

#include <cstddef>

namespace varve {

struct Peaks {
  double flops_per_second = 0;  // float32; a fused multiply-add counts as two
  double bytes_per_second = 0;  // read from main memory
};

/// The best of several short runs on so many threads with the best instruction set; less than a
/// second in all, on a machine with nothing else to do. Takes 256 MiB or four times the last cache
/// for that long, at most 1 GiB. DeviceError if there is no such memory.
Peaks measure_peaks(std::size_t threads);

}  // namespace varve
