#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "kernels/cpu/isa.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/ops.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string error_of(std::string_view backend) {
  try {
    make_ops(backend, 1);
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Backend, EveryListedNameWorksAndDescribesItself) {
  for (const std::string& name : backends()) {
    const std::unique_ptr<Ops> ops = make_ops(name, 1);
    if (name == "reference") {
      EXPECT_EQ(ops->describe(), "reference");
    }
    if (name.starts_with("cpu:")) {
      EXPECT_EQ(ops->describe(), "cpu (" + name.substr(4) + ")");
    }
  }
}

TEST(Backend, TheBestInstructionSetIsTheDefault) {
  const std::string best = "cpu (" + std::string(isas().front().name) + ")";
  EXPECT_EQ(make_ops("cpu", 1)->describe(), best);
  EXPECT_EQ(make_ops("auto", 1)->describe(), best);
}

TEST(Backend, AnUnknownNameListsWhatThereIs) {
  EXPECT_THAT(error_of("tpu"),
              AllOf(HasSubstr("unknown backend 'tpu'"), HasSubstr("auto, reference, cpu")));
  EXPECT_THAT(error_of("cpu:mmx"),
              AllOf(HasSubstr("'cpu:mmx'"), HasSubstr("cpu:" + std::string(isas().back().name))));
}

TEST(Backend, ABuildWithoutCudaSaysSo) {
  if (!cuda_versions().empty()) GTEST_SKIP() << "this build has CUDA";
  EXPECT_THAT(error_of("cuda"), HasSubstr("backend cuda: this build of varve has no CUDA"));
}

}  // namespace
}  // namespace varve
