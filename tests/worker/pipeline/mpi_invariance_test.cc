// The same over MPI as in one process, on as many ranks as mpirun started, on every instruction set
// that this machine has.
#include <gtest/gtest.h>

#include "tests/kernels/fixtures.h"
#include "tests/support/mpi_main.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/worker/pipeline/pipeline_run.h"

namespace varve {
namespace {

TEST(MpiInvariance, RanksOverMpiGiveTheBitsOfOneRank) {
  TempFolder folder;  // each rank writes its own copy, which has the same bytes
  write_tiny_model(folder.path() / "tiny.gguf");
  PipelineCase c{.model = (folder.path() / "tiny.gguf").string(),
                 .questions = {0, 1, 2, 3, 4, 5, 6, 7}};
  const auto comm = mpi_session().communicator(std::chrono::seconds(30));
  for (const std::string& backend : test::fast_backends()) {
    c.backend = backend;
    c.chunk = 64;
    const Outcome whole = run_on_threads(c, 1);
    for (const std::uint32_t chunk : {7U, 512U}) {
      c.chunk = chunk;
      SCOPED_TRACE(testing::Message() << backend << ", chunk " << chunk);
      const Outcome mine = run_pipeline(c, *comm);
      expect_same(mine, whole, comm->rank() == 0, comm->rank() == comm->size() - 1);
    }
  }
}

}  // namespace
}  // namespace varve
