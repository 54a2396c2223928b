#include "coordinator/cli/child_output.h"

#include <gtest/gtest.h>

#include "common/error.h"

namespace varve {
namespace {

ChildOutput shell(const std::string& script) {
  return run_child({"sh", "-c", script});
}

TEST(ChildOutput, WhatItPrintedAndHowItEnded) {
  const ChildOutput ended = shell("echo one; echo two >&2; exit 3");
  EXPECT_EQ(ended.code, 3);
  EXPECT_EQ(ended.out, "one\n");
}

TEST(ChildOutput, MoreThanAPipeHolds) {
  const ChildOutput ended = shell("head -c 300000 /dev/zero | tr '\\0' x");
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.out, std::string(300'000, 'x'));
}

TEST(ChildOutput, ASignal) {
  EXPECT_EQ(shell("kill -TERM $$").code, 128 + 15);
}

TEST(ChildOutput, WordsAreTakenAsTheyAre) {
  EXPECT_EQ(run_child({"printf", "%s", "a b;$HOME"}).out, "a b;$HOME");
}

TEST(ChildOutput, AProgramThatIsMissing) {
  try {
    run_child({"no-such-program-anywhere"});
    ADD_FAILURE() << "it started";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "cannot start no-such-program-anywhere: No such file or directory");
  }
}

}  // namespace
}  // namespace varve
