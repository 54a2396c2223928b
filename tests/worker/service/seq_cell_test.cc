#include "worker/service/seq_cell.h"

#include <gtest/gtest.h>

#include <thread>

namespace varve {
namespace {

struct Four {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  std::uint64_t d = 0;
};

TEST(SeqCell, StartsAtZeroAndKeepsWhatIsStored) {
  SeqCell<Four> cell;
  EXPECT_EQ(cell.load().d, 0u);
  cell.store({1, 2, 3, 4});
  EXPECT_EQ(cell.load().a, 1u);
  EXPECT_EQ(cell.load().d, 4u);
}

TEST(SeqCell, NeverShowsHalfAWriteNorGoesBack) {
  constexpr std::uint64_t kWrites = 200'000;
  SeqCell<Four> cell;
  std::thread writer([&] {
    for (std::uint64_t i = 1; i <= kWrites; ++i) cell.store({i, 2 * i, 3 * i, 4 * i});
  });
  std::uint64_t torn = 0;
  std::uint64_t backwards = 0;
  for (std::uint64_t last = 0; last < kWrites;) {
    const Four seen = cell.load();
    if (seen.b != 2 * seen.a || seen.c != 3 * seen.a || seen.d != 4 * seen.a) ++torn;
    if (seen.a < last) ++backwards;
    last = seen.a;
  }
  writer.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(backwards, 0u);
}

}  // namespace
}  // namespace varve
