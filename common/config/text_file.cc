#include "common/config/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

#include "common/error.h"

namespace varve {
namespace {

class OpenFile {
 public:
  // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
  explicit OpenFile(const std::filesystem::path& path)
      : handle_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), error_(errno) {}
  ~OpenFile() {
    if (handle_ >= 0) ::close(handle_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  /// Why it is not a readable regular file, or empty.
  std::string problem(Bytes most) const {
    if (handle_ < 0 && error_ == ENOENT) return "no such file";
    if (handle_ < 0) return "cannot be opened: " + std::generic_category().message(error_);
    struct stat info {};
    if (::fstat(handle_, &info) != 0) return "cannot be inspected";
    if (S_ISDIR(info.st_mode)) return "is a folder, not a file";
    if (!S_ISREG(info.st_mode)) return "is not a regular file";
    const bool large = static_cast<std::uint64_t>(info.st_size) > most.count;
    return large ? "larger than " + to_string(most) : "";
  }
  int handle() const { return handle_; }

 private:
  int handle_;
  int error_;
};

}  // namespace

std::string why_unreadable(const std::filesystem::path& path) {
  const std::string problem =
      OpenFile(path).problem(Bytes{std::numeric_limits<std::uint64_t>::max()});
  return problem.empty() ? "" : fmt::format("{}: {}", path.string(), problem);
}

std::string read_text_file(const std::filesystem::path& path, Bytes most) {
  const OpenFile file(path);
  if (const std::string problem = file.problem(most); !problem.empty()) {
    throw IoError(fmt::format("{}: {}", path.string(), problem));
  }
  std::string text;
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  while (true) {
    const std::size_t begin = text.size();
    text.resize(begin + kBlock);
    const ssize_t count = ::read(file.handle(), text.data() + begin, kBlock);
    const int error = errno;
    text.resize(begin + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return text;
    if (count < 0 && error != EINTR) {
      throw IoError(fmt::format("{}: cannot be read: {}", path.string(),
                                std::generic_category().message(error)));
    }
    // Again, since the size of a file in /proc is 0 and a file may grow.
    if (text.size() > most.count) {
      throw IoError(fmt::format("{}: larger than {}", path.string(), to_string(most)));
    }
  }
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    utf8proc_int32_t point = -1;
    const utf8proc_ssize_t size =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                         static_cast<utf8proc_ssize_t>(text.size()), &point);
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

}  // namespace varve
