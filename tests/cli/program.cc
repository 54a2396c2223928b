#include "tests/cli/program.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "common/io/regular_file.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

constexpr std::size_t kMostOutput = std::size_t{16} << 20;

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The command BEGIN END; its output goes to files in between.
Ended run_shell(const std::string& begin, const std::string& end) {
  const TempFolder folder;
  const std::string out = (folder / "out").string();
  const std::string err = (folder / "err").string();
  const std::string command = begin + " >" + out + " 2>" + err + " " + end;
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  if (::wait4(child, &status, 0, &usage) != child) throw std::runtime_error("wait4 failed");
  return {code_of(status), read_text_file(out, kMostOutput), read_text_file(err, kMostOutput),
          static_cast<std::size_t>(usage.ru_maxrss) << 10};
}

}  // namespace

Ended run_varve(const std::string& arguments, const std::string& before) {
  return run_shell(before + " exec timeout 60 " + VARVE_PROGRAM, arguments);
}

Ended run_varve_on(int ranks, const std::string& launch, const std::string& arguments) {
  return run_shell(fmt::format("exec timeout 240 {} {} {}", launch, ranks, VARVE_PROGRAM),
                   arguments);
}

}  // namespace varve
