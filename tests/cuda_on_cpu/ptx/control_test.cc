// How lanes part and meet, barriers, and the messages about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cuda_on_cpu/ptx/snippet.h"

namespace varve::ptx {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Threads kTwoWarps{{1, 1, 1}, {64, 1, 1}, 256};

// %rd2 is then the thread's own place in out.
const char* const kOwnPlace = "mul.wide.u32 %rd2, %r0, 4;\nadd.s64 %rd2, %rd2, %rd0;\n";

// Every lane takes as many turns as its number, then all meet for a vote.
TEST(Divergence, LanesMeetAgainBehindALoop) {
  std::vector<std::uint32_t> out(32);
  run_text(kernel_around(std::string(kOwnPlace) +
                         "mov.u32 %r1, 0;\nmov.u32 %r2, 0;\n"
                         "loop: setp.ge.u32 %p1, %r1, %r0;\n@%p1 bra done;\n"
                         "add.u32 %r2, %r2, %r1;\nadd.u32 %r1, %r1, 1;\nbra loop;\n"
                         "done: setp.eq.u32 %p2, %r0, %r0;\n"
                         "vote.sync.ballot.b32 %r3, %p2, -1;\npopc.b32 %r3, %r3;\n"
                         "mad.lo.u32 %r2, %r3, 1000, %r2;\nst.global.u32 [%rd2], %r2;"),
           out.data(), nullptr);
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane], 32000 + lane * (lane - 1) / 2 * (lane > 0 ? 1 : 0)) << lane;
  }
}

TEST(Divergence, BothSidesOfABranchRun) {
  std::vector<std::uint32_t> out(32);
  run_text(kernel_around(std::string(kOwnPlace) +
                         "and.b32 %r1, %r0, 1;\nsetp.eq.u32 %p1, %r1, 1;\n@%p1 bra odd;\n"
                         "mov.u32 %r2, 10;\nbra.uni both;\nodd: mov.u32 %r2, 20;\n"
                         "both: activemask.b32 %r3;\npopc.b32 %r3, %r3;\n"
                         "add.u32 %r2, %r2, %r3;\nst.global.u32 [%rd2], %r2;"),
           out.data(), nullptr);
  for (unsigned lane = 0; lane < 32; ++lane) EXPECT_EQ(out[lane], lane % 2 == 1 ? 52U : 42U);
}

TEST(Divergence, ABranchTableTakesEachLaneToItsOwnPlace) {
  std::vector<std::uint32_t> out(32);
  const std::string text =
      std::string(kOwnPlace) +
      "table: .branchtargets a, b, c;\nrem.u32 %r1, %r0, 3;\nbrx.idx %r1, table;\n"
      "a: mov.u32 %r2, 1;\nbra all;\nb: mov.u32 %r2, 2;\nbra all;\nc: mov.u32 %r2, 3;\n"
      "all: st.global.u32 [%rd2], %r2;";
  run_text(kernel_around(text), out.data(), nullptr);
  for (unsigned lane = 0; lane < 32; ++lane) EXPECT_EQ(out[lane], lane % 3 + 1);
}

TEST(Hang, EndsWithAMessage) {
  Options options;
  options.most_steps = 1000;
  EXPECT_THAT(error_of(kernel_around("loop: bra loop;"), {}, options),
              HasSubstr("k, block (0,0,0): the block does not come to an end: thread (0,0,0)"));
}

const char* const kExchange =
    "mov.u32 %r9, memory;\nshl.b32 %r1, %r0, 2;\nadd.u32 %r1, %r1, %r9;\n"
    "st.shared.u32 [%r1], %r0;\nBARRIER\n"
    "xor.b32 %r2, %r0, 63;\nshl.b32 %r2, %r2, 2;\nadd.u32 %r2, %r2, %r9;\n"
    "ld.shared.u32 %r3, [%r2];\nst.global.u32 [%rd2], %r3;";

std::string exchange(const std::string& barrier) {
  std::string text = std::string(kOwnPlace) + kExchange;
  text.replace(text.find("BARRIER"), 7, barrier);
  return kernel_around(text, ".extern .shared .align 16 .b8 memory[];\n");
}

TEST(Barrier, LetsOneWarpSeeWhatTheOtherWrote) {
  for (const bool reverse : {false, true}) {
    Options options;
    options.reverse = reverse;
    std::vector<std::uint32_t> out(64);
    run_text(exchange("bar.sync 0;"), out.data(), nullptr, kTwoWarps, options);
    for (unsigned i = 0; i < 64; ++i) EXPECT_EQ(out[i], 63 - i);
  }
}

TEST(Barrier, WithoutItSharedMemoryIsUndefined) {
  std::vector<std::uint32_t> out(64);
  run_text(exchange(""), out.data(), nullptr, kTwoWarps);
  EXPECT_EQ(out[0], ~0U) << "nobody had written it";
}

TEST(Barrier, ThatSomeThreadsNeverReachIsReported) {
  EXPECT_THAT(
      error_of(kernel_around("setp.gt.u32 %p1, %r0, 39;\n@%p1 ret;\nbar.sync 0;"), kTwoWarps),
      ContainsRegex("no thread can go on:\n  32 thread.s. from thread .0,0,0. on wait at "
                    "snippet.ptx:[0-9]+ 'bar.sync 0'\n  8 thread.s. from thread .32,0,0. on "
                    "wait.*\n  24 thread.s. from thread .40,0,0. on have ended"));
}

TEST(Barrier, DifferentOnesAreReported) {
  EXPECT_THAT(
      error_of(kernel_around("setp.gt.u32 %p1, %r0, 31;\n@%p1 bra other;\nbar.sync 0;\nret;\n"
                             "other: bar.sync 0;"),
               kTwoWarps),
      ContainsRegex("different barriers: others wait at snippet.ptx:[0-9]+ 'bar.sync 0': "
                    "thread .32,0,0. at snippet.ptx:[0-9]+"));
}

TEST(Barrier, OneOfSomeWarpsLeavesTheOthersAlone) {
  EXPECT_THAT(
      error_of(kernel_around("setp.gt.u32 %p1, %r0, 31;\n@%p1 ret;\nbar.sync 1, 32;"), kTwoWarps),
      IsEmpty());
}

TEST(Mask, OfLanesThatHaveEndedIsReported) {
  EXPECT_THAT(error_of(kernel_around("setp.gt.u32 %p1, %r0, 29;\n@%p1 ret;\n"
                                     "shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1;")),
              ContainsRegex("the mask names lanes that have ended: thread .0,0,0. at snippet.ptx"));
}

TEST(Mask, OfLanesThatAreElsewhereIsReported) {
  EXPECT_THAT(error_of(kernel_around("setp.gt.u32 %p1, %r0, 15;\n@%p1 bra other;\n"
                                     "shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1;\nret;\n"
                                     "other: bar.warp.sync -1;")),
              ContainsRegex("no thread can go on:\n  16 thread.s. from thread .0,0,0. on wait at "
                            "snippet.ptx:[0-9]+ 'shfl.*\n  16 thread.s. from thread .16,0,0."));
}

TEST(Mask, OfHalfAWarpIsEnoughForThatHalf) {
  std::vector<std::uint32_t> out(32);
  run_text(kernel_around(std::string(kOwnPlace) +
                         "setp.gt.u32 %p1, %r0, 15;\nmov.u32 %r2, 0xffff;\n"
                         "@%p1 mov.u32 %r2, 0xffff0000;\n"
                         "shfl.sync.bfly.b32 %r1, %r0, 1, 31, %r2;\nst.global.u32 [%rd2], %r1;"),
           out.data(), nullptr);
  for (unsigned lane = 0; lane < 32; ++lane) EXPECT_EQ(out[lane], lane ^ 1U);
}

TEST(Blocks, KnowWhichTheyAre) {
  std::vector<std::uint32_t> out(2 * 3 * 4);
  const Threads how{{2, 3, 1}, {2, 2, 1}, 0};
  run_text(
      kernel_around("mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ctaid.y;\nmov.u32 %r3, %nctaid.x;\n"
                    "mad.lo.u32 %r1, %r2, %r3, %r1;\n"
                    "mov.u32 %r4, %tid.y;\nmov.u32 %r5, %ntid.x;\nmad.lo.u32 %r0, %r4, %r5, %r0;\n"
                    "mad.lo.u32 %r6, %r1, 4, %r0;\nmul.wide.u32 %rd2, %r6, 4;\n"
                    "add.s64 %rd2, %rd2, %rd0;\nst.global.u32 [%rd2], %r6;"),
      out.data(), nullptr, how);
  for (unsigned i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], i);
}

TEST(Messages, NameTheSourceLine) {
  const std::string files = ".file 1 \"dir/a.cu\"\n.file 2 \"b.h\"\n";
  EXPECT_THAT(error_of(files + kernel_around(".loc 1 42 7\ntrap;")),
              HasSubstr("'trap' of a.cu:42"));
  EXPECT_THAT(
      error_of(files + kernel_around(".loc 2 3 7, function_name $f, inlined_at 1 42 9\ntrap;")),
      HasSubstr("'trap' of b.h:3, called at a.cu:42"));
}

}  // namespace
}  // namespace varve::ptx
