// The emulator must find what it is for. Each bug of samples/bug.h is put into a sample kernel, and
// must be found by the leg that should: without a sanitizer here, with one in
// sanitizer_legs_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cuda_on_cpu/emulator/samples/verdict.h"
#include "tests/support/sanitized.h"

namespace varve::samples {
namespace {

enum class Sign { kWrong, kOrder, kReport, kNothing };

struct Case {
  Bug bug;
  Sign sign;
  const char* report = "";
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << "bug " << static_cast<int>(c.bug);
}

// A sanitizer would end the test.
bool needs_plain_build(Bug bug) {
  return kSanitized && bug != Bug::kNone;
}

class BugMatrix : public testing::TestWithParam<Case> {};

TEST_P(BugMatrix, ShowsAsExpected) {
  const Case& c = GetParam();
  if (needs_plain_build(c.bug)) GTEST_SKIP() << "the sanitizer finds it first";
  const Verdict verdict = judge(c.bug);
  SCOPED_TRACE(to_string(verdict));
  switch (c.sign) {
    case Sign::kWrong:
      EXPECT_GT(verdict.error, 1);
      break;
    case Sign::kOrder:
      EXPECT_TRUE(verdict.depends_on_order);
      break;
    case Sign::kReport:
      EXPECT_THAT(verdict.report, testing::ContainsRegex(c.report));
      break;
    case Sign::kNothing:
      EXPECT_TRUE(verdict.clean());
      break;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BugMatrix,
    testing::Values(
        Case{Bug::kNone, Sign::kNothing}, Case{Bug::kNoBarrierBeforeRead, Sign::kWrong},
        Case{Bug::kNoBarrierBeforeRead, Sign::kOrder}, Case{Bug::kWrongLane, Sign::kWrong},
        // kPastTheRow: only the address sanitizer can be sure.
        // The threads of the emulator do not interrupt each other: only the thread sanitizer sees
        // it.
        Case{Bug::kPlainAdd, Sign::kNothing},
        Case{Bug::kSkippedBarrier, Sign::kReport,
             "select_top, block \\(0,0,0\\), thread \\(0,0,0\\), select_top.cc:[0-9]+: divergent "
             "__syncthreads: other threads wait at select_top.cc:[0-9]+"},
        Case{Bug::kNoBarrierBeforeWrite, Sign::kWrong},
        // kOneKeyTooMany: the same as kPastTheRow.
        Case{Bug::kOneGroupTooFew, Sign::kWrong}, Case{Bug::kNoBarrierAfterWait, Sign::kWrong},
        Case{Bug::kNoBarrierAfterWait, Sign::kOrder},
        Case{Bug::kNoBarrierBeforeReuse, Sign::kWrong}, Case{Bug::kWrongFragment, Sign::kWrong},
        Case{Bug::kNextElement, Sign::kReport,
             "decode_split, block .* wrote outside of the block's 544 bytes of shared memory"},
        Case{Bug::kLanesReturn, Sign::kReport,
             "row_norm, block .*: deadlock; .* 24 threads at __shfl_xor_sync row_norm.cc:[0-9]+, "
             ".* 8 threads returned"},
        Case{Bug::kNoZeroFill, Sign::kWrong},
        // kMisaligned: it depends on the instruction that the compiler chose.
        Case{Bug::kOneForAllBlocks, Sign::kWrong}, Case{Bug::kOneForAllBlocks, Sign::kOrder}));

}  // namespace
}  // namespace varve::samples
