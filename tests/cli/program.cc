#include "tests/cli/program.h"

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

}  // namespace

Ended run_varve(const std::string& arguments, const std::string& before) {
  const TempFolder folder;
  const std::string out = (folder / "out").string();
  const std::string err = (folder / "err").string();
  const std::string command =
      before + " exec timeout 60 " + VARVE_PROGRAM + " >" + out + " 2>" + err + " " + arguments;
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

}  // namespace varve
