// In which of the many orders that a GPU may choose the emulator runs a kernel. A correct kernel
// gives the same bits in all of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve::emulator {

/// Who goes first among the threads that can go on, and among the blocks. Except in the random
/// order, a warp runs ahead as far as it can: what lacks a barrier then goes as wrong as it can.
enum class Order { kForward, kReverse, kRandom };

/// When the bytes of cp.async arrive: at the issue (what is still read there is overwritten too
/// early), or at the wait, until when they are NaN (what is read before the wait is wrong).
enum class Copies { kEarly, kLate };

struct Schedule {
  Order order = Order::kForward;
  std::uint64_t seed = 0;  // of the random order; every launch begins with it anew
  Copies copies = Copies::kEarly;

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

/// "forward", "reverse" or "random:SEED", then ",early" (if nothing is said) or ",late".
/// std::invalid_argument, which says what would be right, for anything else.
Schedule parse_schedule(std::string_view text);
std::string to_string(const Schedule& schedule);

/// Of the launches that run from now on. Before the first call it is what the environment variable
/// VARVE_CUDA_SCHEDULE says, so that a whole test binary can be run under each.
void set_schedule(const Schedule& schedule);
Schedule schedule();

/// splitmix64: small, quick, and the same on every machine.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}

  std::uint32_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return static_cast<std::uint32_t>(z >> 32U);
  }

 private:
  std::uint64_t state_;
};

/// Which block comes i-th. A permutation without a list of it: steps that share no factor with the
/// count.
class BlockOrder {
 public:
  BlockOrder(Order order, std::uint64_t blocks, Random& random);
  std::uint64_t operator()(std::uint64_t i) const { return (first_ + i * step_) % blocks_; }

 private:
  std::uint64_t blocks_;
  std::uint64_t first_ = 0;
  std::uint64_t step_ = 1;
};

}  // namespace varve::emulator
