#include "tests/cuda_on_cpu/fakes/arena.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

namespace varve::fakes {
namespace {

class ArenaGuard : public testing::TestWithParam<Arena::Guard> {
 protected:
  void SetUp() override {
    if (kHeapBacked) GTEST_SKIP() << "device memory is host memory under AddressSanitizer";
    if (GetParam() == Arena::Guard::kKeys && Arena::best_guard() != Arena::Guard::kKeys) {
      GTEST_SKIP() << "this processor or system has no protection keys";
    }
    arena_.emplace(std::size_t{64} << 20, GetParam());
  }
  std::byte* take(std::size_t bytes) {
    const DeviceOpen open(*arena_);
    return arena_->take(Arena::footprint(bytes));
  }

  std::optional<Arena> arena_;
};

INSTANTIATE_TEST_SUITE_P(All, ArenaGuard,
                         testing::Values(Arena::Guard::kKeys, Arena::Guard::kMapping));

TEST_P(ArenaGuard, OpensAndCloses) {
  auto* p = reinterpret_cast<volatile char*>(take(100));
  {
    const DeviceOpen open(*arena_);
    {
      const DeviceOpen again(*arena_);
      *p = 7;
    }
    EXPECT_EQ(*p, 7);
    const int depth = arena_->close_all();
    EXPECT_DEATH(std::exit(*p), "host code touched device memory");
    arena_->reopen(depth);
    EXPECT_EQ(*p, 7);
  }
  EXPECT_DEATH(std::exit(*p), "host code touched device memory");
}

TEST_P(ArenaGuard, OpensToTheThreadThatDrives) {
  auto* p = reinterpret_cast<volatile char*>(take(100));
  std::thread([&] {
    const DeviceOpen open(*arena_);
    *p = 7;
  }).join();
  EXPECT_DEATH(std::exit(*p), "host code touched device memory");
  if (GetParam() != Arena::Guard::kKeys) return;
  const auto touch_beside_the_driver = [&] {
    std::atomic<bool> opened{false};
    std::thread other([&] {  // a thread begins with the rights of the one that made it
      opened.wait(false);
      std::exit(*p);
    });
    const DeviceOpen open(*arena_);
    opened = true;
    opened.notify_all();
    other.join();
  };
  EXPECT_DEATH(touch_beside_the_driver(), "host code touched device memory");
}

TEST_P(ArenaGuard, GivesWhatCameBack) {
  const DeviceOpen open(*arena_);
  const std::size_t footprint = Arena::footprint(1000);
  std::byte* a = arena_->take(footprint);
  std::byte* b = arena_->take(footprint);
  std::byte* c = arena_->take(footprint);
  std::memset(c, 1, footprint);
  arena_->give_back(a, footprint);
  arena_->give_back(c, footprint);
  EXPECT_EQ(arena_->take(Arena::footprint(2000)), c + footprint);
  arena_->give_back(b, footprint);  // the three are one hole now
  EXPECT_EQ(arena_->take(3 * footprint), a);
  EXPECT_EQ(arena_->take(std::size_t{64} << 20), nullptr);
}

}  // namespace
}  // namespace varve::fakes
