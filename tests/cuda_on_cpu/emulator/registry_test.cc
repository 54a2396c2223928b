#include "tests/cuda_on_cpu/emulator/registry.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/cuda_on_cpu/emulator/test_kernel.h"
#include "tests/support/temp_folder.h"

namespace varve::emulator {

template <int N, class T>
__global__ void do_nothing(T* /*value*/) {}
__global__ void never_launched() {}

namespace {

std::uint64_t launches(const std::string& end_of_name) {
  for (const KernelRecord* record : kernel_records()) {
    if (record->name().ends_with(end_of_name)) return record->launches();
  }
  return ~std::uint64_t{0};
}

TEST(Registry, CountsLaunchesByTheKernelsName) {
  EXPECT_EQ(launches("varve::emulator::do_nothing<3, float>"), 0U);
  float* const none = nullptr;
  run_block<do_nothing<3, float>>(32, 0, none);
  gpu::launch<do_nothing<3, float>>({dim3(4), dim3(32)}, none);
  EXPECT_EQ(launches("varve::emulator::do_nothing<3, float>"), 2U);
  int* const nothing = nullptr;
  run_block<do_nothing<4, int>>(32, 0, nothing);
  EXPECT_EQ(launches("varve::emulator::do_nothing<4, int>"), 1U);
}

// It is in the list because code could launch it.
TEST(Registry, KnowsAKernelThatNobodyLaunched) {
  if (std::getenv("VARVE_NO_SUCH_VARIABLE") != nullptr) run_block<never_launched>(32, 0);
  EXPECT_EQ(launches("varve::emulator::never_launched"), 0U);
}

template <class T>
__global__ void take(T /*callback*/) {}

TEST(Registry, ReadsTheNamesThatCompilersMake) {
  const auto name = []<auto * Kernel>(const detail::Tag<Kernel>& tag) {
    return detail::kernel_name(typeid(tag).name());
  };
  EXPECT_EQ(name(detail::Tag<never_launched>()), "varve::emulator::never_launched");
  EXPECT_EQ(name(detail::Tag<do_nothing<3, float>>()), "varve::emulator::do_nothing<3, float>");
  EXPECT_EQ(name(detail::Tag<take<int (*)(int)>>()),
            "varve::emulator::(anonymous namespace)::take<int (*)(int)>");
}

// Runs this program again, with its first test only.
void run_again(const std::string& log) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = "VARVE_KERNEL_LOG='" + log + "' '" + program +
                              "' --gtest_filter=Registry.CountsLaunches* >/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
}

TEST(Registry, IsAppendedToTheLogWhenTheProcessExits) {
  const TempFolder folder;
  const std::string log = (folder / "kernels").string();
  run_again(log);
  run_again(log);
  std::ifstream in(log);
  std::map<std::string, int> lines;
  for (std::string line; std::getline(in, line);) ++lines[line];
  EXPECT_EQ(lines["varve::emulator::do_nothing<3, float> 2"], 2);
  EXPECT_EQ(lines["varve::emulator::never_launched 0"], 2);
}

}  // namespace
}  // namespace varve::emulator
