// Another program's standard output.
#pragma once

#include <string>
#include <vector>

namespace varve {

struct ChildOutput {
  int code = 0;  // 128 + n if signal n ended it
  std::string out;
};

/// Runs a program, found on the PATH if its name has no slash, to its end; its standard input and
/// error are this process's. It is told to end (SIGTERM) if this process does. No other thread may
/// run. Error if it cannot be started.
ChildOutput run_child(const std::vector<std::string>& words);

}  // namespace varve
