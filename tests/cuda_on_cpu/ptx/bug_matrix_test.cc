// What nvcc makes of the emulator's sample kernels must give the right values, and the bugs of
// samples/bug.h must be found in it, without the help of a sanitizer. Which PTX: VARVE_PTX.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/cuda_on_cpu/emulator/samples/sample.h"
#include "tests/cuda_on_cpu/emulator/samples/verdict.h"
#include "tests/cuda_on_cpu/emulator/schedule.h"
#include "tests/cuda_on_cpu/ptx/image.h"
#include "tests/cuda_on_cpu/ptx/launch.h"
#include "tests/cuda_on_cpu/ptx/library.h"
#include "tests/support/temp_folder.h"

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

class PtxBugMatrix : public testing::TestWithParam<Case> {};

TEST_P(PtxBugMatrix, ShowsAsExpected) {
  const Case& c = GetParam();
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
    All, PtxBugMatrix,
    testing::Values(
        Case{Bug::kNone, Sign::kNothing}, Case{Bug::kNoBarrierBeforeRead, Sign::kWrong},
        Case{Bug::kNoBarrierBeforeRead, Sign::kOrder}, Case{Bug::kWrongLane, Sign::kWrong},
        Case{Bug::kSkippedBarrier, Sign::kReport,
             "select_top.*, block .0,0,0.: .*bar.sync.*select_top.cc:[0-9]+"},
        Case{Bug::kNoBarrierBeforeWrite, Sign::kWrong}, Case{Bug::kOneGroupTooFew, Sign::kWrong},
        Case{Bug::kNoBarrierAfterWait, Sign::kWrong}, Case{Bug::kNoBarrierAfterWait, Sign::kOrder},
        Case{Bug::kNoBarrierBeforeReuse, Sign::kWrong}, Case{Bug::kWrongFragment, Sign::kWrong},
        Case{Bug::kNextElement, Sign::kReport,
             "decode_split.*, block .*shared memory out of bounds: 4 byte.s. at 544 of 544: thread "
             ".96,0,0. .*decode.cc:[0-9]+"},
        Case{Bug::kLanesReturn, Sign::kReport,
             "row_norm.*no thread can go on:.*24 thread.s. from thread .96,0,0. on wait at .*shfl"
             ".*called at row_norm.cc:[0-9]+.*8 thread.s. from thread .120,0,0. on have ended"},
        Case{Bug::kNoZeroFill, Sign::kWrong},
        Case{Bug::kMisaligned, Sign::kReport, "decode_split.*misaligned access.*decode.cc:[0-9]+"},
        Case{Bug::kOneForAllBlocks, Sign::kWrong}, Case{Bug::kOneForAllBlocks, Sign::kOrder}));

// A mistake that only the PTX has, as in the inline assembly of kernels/cuda/device: the emulator
// cannot see it.
struct Mistake {
  const char* what;
  const char* pattern;
  const char* replacement;
};

const Mistake kMistakes[] = {
    {"the halves of B swapped", R"((mma[^;]*\{[^}]*\}, \{[^}]*\}, )\{(%r\d+),\s*(%r\d+)\})",
     "$1{$3, $2}"},
    {"two registers of A swapped", R"((mma[^;]*\{[^}]*\}, )\{(%r\d+),\s*(%r\d+),)", "$1{$3, $2,"},
    {"not transposed", R"(\.x4\.trans)", ".x4"},
    {"a wait for fewer groups", R"(cp\.async\.wait_group 1;)", "cp.async.wait_group 2;"},
    {"no barriers", R"(\bbar\.sync\s+0;)", ""},
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.what;
}

class PtxMistakes : public testing::TestWithParam<Mistake> {
 protected:
  void SetUp() override {
    std::ifstream in(std::filesystem::path(std::getenv("VARVE_PTX")) / "prefill.ptx");
    std::ostringstream text;
    text << in.rdbuf();
    right_ = text.str();
  }
  void TearDown() override { ptx::use(std::getenv("VARVE_PTX")); }
  void use(const std::string& text) const {
    std::ofstream(folder_ / "prefill.ptx") << text;
    ptx::use(folder_.path().string());
  }

  const TempFolder folder_;
  std::string right_;
};

TEST_P(PtxMistakes, AreFound) {
  use(right_);
  ASSERT_LE(run_prefill(Bug::kNone).error, 1);
  const std::string wrong =
      std::regex_replace(right_, std::regex(GetParam().pattern), GetParam().replacement);
  ASSERT_NE(wrong, right_) << "the PTX has no such place";
  use(wrong);
  const emulator::Schedule before = emulator::schedule();
  double error = 0;
  for (const char* text : {"forward,late", "reverse,early"}) {
    emulator::set_schedule(emulator::parse_schedule(text));
    error = std::max(error, run_prefill(Bug::kNone).error);
  }
  emulator::set_schedule(before);
  EXPECT_GT(error, 1) << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(All, PtxMistakes, testing::ValuesIn(kMistakes));

// The interpreter must know all that nvcc wrote, also where no test comes by.
TEST(Ptx, IsAllKnown) {
  ptx::Library library;
  library.add(std::getenv("VARVE_PTX"));
  std::size_t kernels = 0;
  for (const auto& image : library.images()) {
    for (const ptx::Function& function : image->module().functions) {
      const ptx::Program* const program = image->find(function.name);
      if (program == nullptr) continue;  // not an entry
      EXPECT_THAT(program->unsupported, testing::IsEmpty());
      ++kernels;
    }
  }
  EXPECT_EQ(kernels, 5U);
}

}  // namespace
}  // namespace varve::samples
