// Where stages add up what each has scored. Sums are integers, so the order does not matter.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace varve {

class ScoreExchange {
 public:
  virtual ~ScoreExchange() = default;
  /// This stage's sums, one per row. Does not wait. All stages give the same things in the same
  /// order. Returns the number to take them by.
  virtual std::uint64_t give(std::span<const std::int64_t> sums) = 0;
  /// The sums of all stages, once for each number; waits for the others'.
  virtual std::vector<std::int64_t> take(std::uint64_t number) = 0;
};

/// A stage that keeps its sums to itself.
class OwnScores final : public ScoreExchange {
 public:
  std::uint64_t give(std::span<const std::int64_t> sums) override {
    given_[next_].assign(sums.begin(), sums.end());
    return next_++;
  }
  std::vector<std::int64_t> take(std::uint64_t number) override {
    return std::move(given_.extract(number).mapped());
  }

 private:
  std::map<std::uint64_t, std::vector<std::int64_t>> given_;
  std::uint64_t next_ = 0;
};

}  // namespace varve
