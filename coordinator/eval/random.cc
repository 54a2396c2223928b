#include "coordinator/eval/random.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace varve {

std::vector<std::size_t> Random::different(std::size_t count, std::size_t of) {
  VARVE_CHECK(count <= of, "{} different numbers below {}", count, of);
  std::vector<std::size_t> all(of);
  for (std::size_t i = 0; i < of; ++i) all[i] = i;
  for (std::size_t i = 0; i < count; ++i) std::swap(all[i], all[i + below(of - i)]);
  all.resize(count);
  return all;
}

std::uint64_t mixed_seed(std::uint64_t seed, std::string_view text, std::uint64_t number) {
  std::uint64_t mixed = split_mix(seed);
  for (const char c : text) mixed = split_mix(mixed ^ static_cast<unsigned char>(c));
  return split_mix(mixed ^ number);
}

}  // namespace varve
