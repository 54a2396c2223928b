// The pipeline needs no buffer of its transport: where every send, even of eight bytes, ends only
// when its receiver takes it, no stage waits for one that waits for it.
#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/worker/pipeline/pipeline_run.h"

namespace varve {
namespace {

class UnbufferedSends : public testing::Test {
 protected:
  UnbufferedSends() {
    write_tiny_model(folder_.path() / "tiny.gguf");
    case_.model = (folder_.path() / "tiny.gguf").string();
    case_.questions = {0, 1, 2, 3, 4, 5, 6, 7};
    whole_ = run_on_threads(case_, 1);
    case_.transport.eager_bytes = 0;
  }

  // Every in-flight limit; steps of one row (the most results), of several, of all.
  void expect_no_circle(int ranks) {
    for (const std::uint64_t in_flight : {1, 2, 4}) {
      for (const std::uint32_t chunk : {1, 3, 64}) {
        case_.in_flight = in_flight;
        case_.chunk = chunk;
        SCOPED_TRACE(testing::Message()
                     << ranks << " ranks, in flight " << in_flight << ", chunk " << chunk);
        expect_same(run_on_threads(case_, ranks), whole_, true, true);
      }
    }
  }

  TempFolder folder_;
  PipelineCase case_;
  Outcome whole_;
};

TEST_F(UnbufferedSends, AtOnce) {
  for (const int ranks : {2, 3, 5}) expect_no_circle(ranks);
}

TEST_F(UnbufferedSends, Late) {
  for (const int ranks : {2, 3, 5}) {
    case_.transport.faults = {.seed = static_cast<std::uint64_t>(ranks),
                              .max_delay = std::chrono::microseconds(500)};
    expect_no_circle(ranks);
  }
}

TEST_F(UnbufferedSends, FewerQuestionsOpenThanStages) {
  case_.parallel = 2;
  expect_no_circle(4);
}

}  // namespace
}  // namespace varve
