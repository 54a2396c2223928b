#include <cmath>
#include <numbers>

#include "common/error.h"
#include "worker/model/stage_model.h"

namespace varve {
namespace {

// Llama 3.1's rescaling: wavelengths beyond the old context are stretched by `factor`, those well
// within it are kept, and between the two the stretch is interpolated.
float scale_llama3(float frequency, const Llama3RopeScaling& s) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < s.original_context / s.high_freq_factor) return frequency;
  const double stretched = frequency / s.factor;
  if (wavelength > s.original_context / s.low_freq_factor) return static_cast<float>(stretched);
  const double smooth = (s.original_context / wavelength - s.low_freq_factor) /
                        (s.high_freq_factor - s.low_freq_factor);
  return static_cast<float>((1 - smooth) * stretched + smooth * frequency);
}

}  // namespace

std::vector<float> rope_frequencies(const ModelConfig& config) {
  const std::size_t pairs = config.rope_dims / 2;
  VARVE_CHECK(config.rope_factors.empty() || config.rope_factors.size() == pairs,
              "{} rope factors for {} pairs", config.rope_factors.size(), pairs);
  std::vector<float> frequencies(pairs);
  for (std::size_t i = 0; i < pairs; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.rope_dims);
    float f = 1.0F / std::pow(static_cast<float>(config.rope_theta), exponent);
    if (config.llama3_scaling) f = scale_llama3(f, *config.llama3_scaling);
    if (!config.rope_factors.empty()) f /= config.rope_factors[i];
    frequencies[i] = f;
  }
  return frequencies;
}

}  // namespace varve
