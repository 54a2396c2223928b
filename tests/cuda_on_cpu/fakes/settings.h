#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace varve::fakes {

/// In what order the device takes up its work: see fakes.h.
enum class Order { kEager, kLazy, kContrary, kRandom };

struct Settings {
  Order order = Order::kLazy;
  std::uint32_t seed = 1;  // of kRandom
  /// Which devices of the machine this process sees, as CUDA_VISIBLE_DEVICES would have it.
  std::vector<int> devices = {0};
  std::size_t memory = std::size_t{4} << 30;  // bytes of each device
  std::chrono::milliseconds deadline{5000};   // of waits without progress
};

/// std::invalid_argument naming the variable that is wrong. `lookup` is getenv but for tests.
Settings settings_from_environment(const std::function<const char*(const char*)>& lookup = {});

}  // namespace varve::fakes
