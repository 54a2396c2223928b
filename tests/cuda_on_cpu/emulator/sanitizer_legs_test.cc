// The bugs of samples/bug.h that the sanitizers must find, in processes of their own (leg_main.cc),
// and that neither finds anything in the correct kernels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/wait.h>

#include <array>
#include <string>

#include "tests/cuda_on_cpu/emulator/samples/bug.h"

namespace varve::samples {
namespace {

struct Ended {
  int code;
  std::string text;
};

Ended run_leg(const std::string& leg, Bug bug) {
  const std::string command = "TSAN_OPTIONS=halt_on_error=1 '" + leg + "' " +
                              std::to_string(static_cast<int>(bug)) + " 2>&1";
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {-1, "cannot start " + command};
  Ended ended;
  std::array<char, 4096> buffer;
  while (const std::size_t bytes = fread(buffer.data(), 1, buffer.size(), pipe)) {
    ended.text.append(buffer.data(), bytes);
  }
  const int status = pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

struct Case {
  Bug bug;
  const char* report;  // a regular expression
};

[[maybe_unused]] void PrintTo(const Case& c, std::ostream* out) {
  *out << "bug " << static_cast<int>(c.bug);
}

class SanitizerLeg : public testing::TestWithParam<Case> {
 protected:
  static void expect_report(const char* leg) {
    const Ended ended = run_leg(leg, GetParam().bug);
    if (GetParam().bug == Bug::kNone) {
      EXPECT_EQ(ended.code, 0) << ended.text;
      EXPECT_EQ(ended.text, "clean\n");
    } else {
      EXPECT_NE(ended.code, 0);
      EXPECT_THAT(ended.text, testing::ContainsRegex(GetParam().report));
    }
  }
};

#ifdef VARVE_ADDRESS_LEG
class AddressLeg : public SanitizerLeg {};

TEST_P(AddressLeg, Finds) {
  expect_report(VARVE_ADDRESS_LEG);
}

INSTANTIATE_TEST_SUITE_P(
    All, AddressLeg,
    testing::Values(Case{Bug::kNone, ""},
                    Case{Bug::kPastTheRow, "heap-buffer-overflow(.|\n)*row_norm.cc:[0-9]+"},
                    Case{Bug::kOneKeyTooMany, "heap-buffer-overflow(.|\n)*prefill.cc:[0-9]+"},
                    Case{Bug::kNextElement, "use-after-poison(.|\n)*decode.cc:[0-9]+"},
                    Case{Bug::kMisaligned, "decode.cc:[0-9]+:.*misaligned address"},
                    Case{Bug::kLanesReturn, "deadlock"}, Case{Bug::kOneGroupTooFew, "error inf"}));
#endif

#ifdef VARVE_THREAD_LEG
class ThreadLeg : public SanitizerLeg {};

TEST_P(ThreadLeg, Finds) {
  expect_report(VARVE_THREAD_LEG);
}

INSTANTIATE_TEST_SUITE_P(
    All, ThreadLeg,
    testing::Values(
        Case{Bug::kNone, ""},
        Case{Bug::kNoBarrierBeforeRead, "data race(.|\n)*row_norm.cc:[0-9]+(.|\n)*row_norm.cc:"},
        Case{Bug::kPlainAdd, "data race(.|\n)*select_top.cc:[0-9]+(.|\n)*select_top.cc:"},
        Case{Bug::kNoBarrierBeforeWrite, "data race(.|\n)*select_top.cc:[0-9]+"},
        Case{Bug::kNoBarrierAfterWait, "data race(.|\n)*prefill.cc:[0-9]+(.|\n)*prefill.cc:"},
        Case{Bug::kNoBarrierBeforeReuse, "data race(.|\n)*prefill.cc:[0-9]+(.|\n)*prefill.cc:"},
        Case{Bug::kNextElement, "data race(.|\n)*decode.cc:[0-9]+"},
        Case{Bug::kShuffleForSyncwarp, "data race(.|\n)*leg_main.cc:[0-9]+(.|\n)*leg_main.cc:"},
        Case{Bug::kSkippedBarrier, "divergent __syncthreads"}));
#endif

// Without either leg there would be no test at all.
TEST(SanitizerLegs, AreBuiltUnlessTheWholeBuildHasAnotherSanitizer) {
#if !defined(VARVE_ADDRESS_LEG) && !defined(VARVE_THREAD_LEG)
  FAIL() << "CMake built no leg";
#endif
}

}  // namespace
}  // namespace varve::samples
