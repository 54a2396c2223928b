#include "worker/cache/memory_line.h"

#include <algorithm>

namespace varve {
namespace {

void join(MemorySample& into, const MemorySample& later) {
  into = {later.milliseconds, std::max(into.bytes, later.bytes)};
}

}  // namespace

void MemoryLine::add(std::chrono::milliseconds time, std::size_t bytes) {
  const MemorySample sample{static_cast<std::uint32_t>(time.count()), bytes};
  if (open_ > 0) {
    join(samples_.back(), sample);
  } else {
    if (samples_.size() == most_) halve();
    samples_.push_back(sample);
  }
  open_ = (open_ + 1) % stride_;
}

void MemoryLine::halve() {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < samples_.size(); i += 2) {
    MemorySample sample = samples_[i];
    if (i + 1 < samples_.size()) join(sample, samples_[i + 1]);
    samples_[kept++] = sample;
  }
  samples_.resize(kept);
  stride_ *= 2;
}

}  // namespace varve
