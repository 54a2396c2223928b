// The program as a user's shell starts it.
#pragma once

#include <cstddef>
#include <string>

namespace varve {

struct Ended {
  int code = -1;  // 124 if it had to be stopped after a minute; 128 + n if a signal ended it
  std::string out;
  std::string err;
  std::size_t peak_bytes = 0;  // most memory that it held
};

/// Runs `varve ARGUMENTS`, words as the shell takes them. `before` is shell code that the program's
/// process runs first, such as "ulimit -f 8;".
Ended run_varve(const std::string& arguments, const std::string& before = "");

/// The same on so many processes of mpirun, which `launch` starts but for their number ("mpiexec
/// --oversubscribe -n"). What all of them print is in one text. They have four minutes.
Ended run_varve_on(int ranks, const std::string& launch, const std::string& arguments);

}  // namespace varve
