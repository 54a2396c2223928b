#include "tests/support/mpi_main.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <exception>
#include <memory>

namespace varve {
namespace {

std::unique_ptr<MpiSession> session;

class FailuresOnly final : public testing::EmptyTestEventListener {
 public:
  explicit FailuresOnly(int rank) : rank_(rank) {}

 private:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    fmt::print(stderr, "rank {}: {}:{}: {}\n", rank_,
               result.file_name() != nullptr ? result.file_name() : "?", result.line_number(),
               result.message());
  }
  void OnTestEnd(const testing::TestInfo& info) override {
    if (info.result()->Failed()) {
      fmt::print(stderr, "rank {}: {}.{} failed\n", rank_, info.test_suite_name(), info.name());
    }
  }

  int rank_;
};

void quiet(int rank) {
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new FailuresOnly(rank));  // owned by GoogleTest
}

int run(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // Blocks of an odd size below the largest message of the tests: its description to MPI as blocks
  // is then a code path of every run and not only of 2 GiB messages.
  session = std::make_unique<MpiSession>(MpiOptions{.block_bytes = 1'100'003});
  if (session->rank() != 0) quiet(session->rank());
  const int failed = RUN_ALL_TESTS();
  session->finalize(std::chrono::seconds(10));
  session.reset();
  return failed;
}

}  // namespace

MpiSession& mpi_session() {
  return *session;
}

}  // namespace varve

int main(int argc, char** argv) {
  try {
    return varve::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    std::fflush(nullptr);
    varve::MpiSession::hard_abort(varve::ExitCode::kOther);
  }
}
