#include "kernels/cpu/peaks.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/sanitized.h"

namespace varve {
namespace {

// Wide enough for a sanitizer on a busy machine and for the best there is: units that are wrong by
// a thousand are out.
TEST(Peaks, AreInTheRangeOfMachines) {
  // A sanitizer takes half a minute for each.
  for (const std::size_t threads :
       kSanitized ? std::vector<std::size_t>{3} : std::vector<std::size_t>{1, 3}) {
    const Peaks peaks = measure_peaks(threads);
    EXPECT_GT(peaks.flops_per_second, 1e7);
    EXPECT_LT(peaks.flops_per_second, 1e14);
    EXPECT_GT(peaks.bytes_per_second, 1e7);
    EXPECT_LT(peaks.bytes_per_second, 1e13);
  }
}

}  // namespace
}  // namespace varve
