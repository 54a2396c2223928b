#include "worker/comm/backoff.h"

#include <algorithm>
#include <thread>

namespace varve {
namespace {

constexpr auto kSpin = std::chrono::microseconds(20);
constexpr auto kShortestPause = std::chrono::microseconds(20);

}  // namespace

void Backoff::pause() {
  const auto waited = std::chrono::steady_clock::now() - since_;
  if (waited < kSpin) {
    std::this_thread::yield();
  } else {
    using Duration = std::chrono::steady_clock::duration;
    std::this_thread::sleep_for(std::clamp<Duration>(waited / 16, kShortestPause, longest_));
  }
}

}  // namespace varve
