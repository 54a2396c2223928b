// `varve bench` under mpirun, which --scaling with a hostfile starts itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/ops.h"
#include "tests/cli/program.h"
#include "tests/cli/small_model.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

TEST(BenchMpi, ScalingOverAHostfile) {
  const TempFolder folder;
  small_model().write(folder / "m.gguf");
  std::ofstream(folder / "hosts") << "localhost slots=2\n";
  const Ended ended =
      run_varve("bench -m " + (folder / "m.gguf").string() + " --scaling 1,2 --scaling-tokens 64 " +
                    "--chunk 8 -r 2 --threads 1 -o json --hostfile " + (folder / "hosts").string(),
                "MPIRUN_OPTIONS='" VARVE_MPI_FLAGS "'; export MPIRUN_OPTIONS;");
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto rows = nlohmann::json::parse(ended.out);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[1]["scaling"], "strong");
  EXPECT_EQ(rows[1]["ranks"], 2);
  EXPECT_GT(rows[1]["bytes_per_token"], 128.0);
  EXPECT_GT(rows[1]["bubble_share"], 0.0);
  EXPECT_EQ(rows[2]["n_prompt"], 32);
}

// Both ranks fail at the same time, and each must still end in order.
TEST(BenchMpi, AnInstructionSetThatTheRanksLack) {
  const std::vector<std::string> present = backends();
  const bool arm = std::find(present.begin(), present.end(), "cpu:neon") != present.end();
  const TempFolder folder;
  small_model().write(folder / "m.gguf");
  std::ofstream(folder / "hosts") << "localhost slots=2\n";
  const Ended ended =
      run_varve("bench -m " + (folder / "m.gguf").string() + " --scaling 2 --scaling-tokens 64 " +
                    "--threads 1 --backend " + (arm ? "cpu:avx2" : "cpu:neon") + " --hostfile " +
                    (folder / "hosts").string(),
                "MPIRUN_OPTIONS='" VARVE_MPI_FLAGS "'; export MPIRUN_OPTIONS;");
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, testing::HasSubstr("this machine has no such instruction set; it has"));
}

TEST(BenchMpi, ScalingUnderALauncherIsRefused) {
  const Ended ended = run_varve("bench -m m.gguf --scaling 1",
                                "OMPI_COMM_WORLD_SIZE=2; OMPI_COMM_WORLD_RANK=0; "
                                "export OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_RANK;");
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, testing::HasSubstr("--scaling starts ranks itself, but a launcher"));
}

}  // namespace
}  // namespace varve
