// For GoogleTest binaries whose processes are ranks: every rank runs the same tests in the same
// order, rank 0 prints, the others print their failures. Link varve_mpi_test_main in place of
// gtest_main and register with varve_mpi_test.
#pragma once

#include "worker/comm/mpi_communicator.h"

namespace varve {

/// The session of this process.
MpiSession& mpi_session();

}  // namespace varve
