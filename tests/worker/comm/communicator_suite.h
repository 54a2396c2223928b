// What every transport must do, as functions of one rank's communicator. The threads and the MPI
// test run the same list.
#pragma once

#include <string>
#include <vector>

#include "worker/comm/communicator.h"

namespace varve {

struct CommunicatorCase {
  std::string name;
  int min_ranks;
  /// Runs on every rank; fails by EXPECT or by an exception.
  void (*run)(Communicator&);
};

const std::vector<CommunicatorCase>& communicator_cases();

}  // namespace varve
