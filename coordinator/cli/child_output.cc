#include "coordinator/cli/child_output.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/error.h"

namespace varve {
namespace {

[[noreturn]] void fail(const std::string& program, int error) {
  throw Error(ExitCode::kOther, fmt::format("cannot start {}: {}", program, std::strerror(error)));
}

class Pipe {
 public:
  explicit Pipe(const std::string& program) {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) fail(program, errno);
  }
  ~Pipe() {
    close(ends_[0]);
    close_write();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int write_end() const { return ends_[1]; }
  void close_write() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }
  std::string read_all() const {
    std::string all;
    std::array<char, 4096> buffer;
    for (;;) {
      const ssize_t count = read(ends_[0], buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return all;
      all.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

// In the child. Writes errno to `failed` if the program cannot be started.
[[noreturn]] void become(const std::vector<std::string>& words, pid_t parent, int out, int failed) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() == parent && dup2(out, STDOUT_FILENO) >= 0) execvp(argv[0], argv.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(failed, &error, sizeof error);
  _exit(127);
}

}  // namespace

ChildOutput run_child(const std::vector<std::string>& words) {
  Pipe out(words.at(0));
  Pipe failed(words[0]);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) fail(words[0], errno);
  if (child == 0) become(words, parent, out.write_end(), failed.write_end());
  out.close_write();
  failed.close_write();
  const std::string error = failed.read_all();  // empty once the program has started
  ChildOutput ended{.code = 0, .out = out.read_all()};
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (error.size() == sizeof(int)) {
    int number = 0;
    std::memcpy(&number, error.data(), sizeof number);
    fail(words[0], number);
  }
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

}  // namespace varve
