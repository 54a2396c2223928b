#include "coordinator/jobs/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "common/error.h"

namespace varve {
namespace {

// A file that is being written and that nobody knows yet.
class Draft {
 public:
  explicit Draft(const std::filesystem::path& target) : target_(target) {
    path_ = target.string() + fmt::format(".{}.tmp", ::getpid());
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) fail();
  }
  ~Draft() {
    if (fd_ >= 0) ::close(fd_);
    if (!published_) ::unlink(path_.c_str());
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::write(fd_, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail();
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void publish() {
    if (::fsync(fd_) != 0) fail();
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) fail();
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail();
    published_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw IoError(fmt::format("{}: cannot be written: {}", target_.string(), errno_text(errno)));
  }

  std::filesystem::path target_;
  std::string path_;
  int fd_ = -1;
  bool published_ = false;
};

}  // namespace

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  Draft draft(path);
  draft.write(text);
  draft.publish();
}

}  // namespace varve
