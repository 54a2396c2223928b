#include "common/model/weight_form.h"

#include <functional>
#include <numeric>

namespace varve {

std::size_t bytes_in(WeightForm form, const TensorEntry& entry) {
  if (form == WeightForm::kStored) return entry.bytes;
  const std::size_t count =
      std::accumulate(entry.shape.begin(), entry.shape.end(), std::size_t{1}, std::multiplies<>());
  const bool halves = form == WeightForm::kBF16 && entry.shape.size() > 1;
  return count * (halves ? 2 : sizeof(float));
}

}  // namespace varve
