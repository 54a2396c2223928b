#include "kernels/partial.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace varve {

void merge_head(std::span<const float> out, float lse, HeadPartial to) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  if (lse == kNone) return;
  if (to.lse == kNone) {
    std::copy(out.begin(), out.end(), to.out.begin());
    to.lse = lse;
    return;
  }
  const double top = std::max(lse, to.lse);
  const double w_from = std::exp(lse - top);
  const double w_to = std::exp(to.lse - top);
  const double sum = w_from + w_to;
  const auto a = static_cast<float>(w_to / sum);
  const auto b = static_cast<float>(w_from / sum);
  for (std::size_t i = 0; i < out.size(); ++i) to.out[i] = a * to.out[i] + b * out[i];
  to.lse = static_cast<float>(top + std::log(sum));
}

}  // namespace varve
