#include "common/io/regular_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "common/error.h"
#include "common/units.h"

namespace varve {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view what, int error) {
  throw IoError(
      fmt::format("{}: {}: {}", path.string(), what, std::generic_category().message(error)));
}

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

struct stat inspect(const std::filesystem::path& path, int descriptor) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) fail(path, "cannot be inspected", errno);
  return info;
}

std::chrono::nanoseconds written(const struct stat& info) {
  return std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
}

}  // namespace

RegularFile::RegularFile(std::filesystem::path path) : path_(std::move(path)) {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0 && errno == ENOENT) {
    throw IoError(fmt::format("{}: no such file", path_.string()));
  }
  if (descriptor_ < 0) fail(path_, "cannot be opened", errno);
  try {
    const struct stat info = inspect(path_, descriptor_);
    if (!S_ISREG(info.st_mode)) {
      throw IoError(fmt::format("{}: is {}, not a file", path_.string(), kind_of(info.st_mode)));
    }
    size_ = static_cast<std::uint64_t>(info.st_size);
    written_ = written(info);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

RegularFile::~RegularFile() {
  ::close(descriptor_);
}

std::size_t RegularFile::read(std::span<std::byte> out) {
  while (true) {
    const ssize_t count = ::read(descriptor_, out.data(), out.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) fail(path_, "cannot be read", errno);
  }
}

void RegularFile::check_unchanged() const {
  const struct stat info = inspect(path_, descriptor_);
  if (static_cast<std::uint64_t>(info.st_size) == size_ && written(info) == written_) return;
  throw IoError(
      fmt::format("{}: was changed while it was in use, it had {} bytes and has {}; it must "
                  "stay as it is",
                  path_.string(), size_, info.st_size));
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  RegularFile file(path);
  const auto refuse_larger = [&](std::uint64_t size) {
    if (size > max_bytes) {
      throw IoError(
          fmt::format("{}: is larger than {}", path.string(), to_string(Bytes{max_bytes})));
    }
  };
  refuse_larger(file.size());
  std::string text(file.size() + 1, '\0');  // one more, to see a file that grows
  std::size_t filled = 0;
  while (filled < text.size()) {
    const std::size_t count = file.read(std::as_writable_bytes(std::span(text).subspan(filled)));
    if (count == 0) break;
    filled += count;
    refuse_larger(filled);
    if (filled == text.size()) text.resize(2 * text.size());
  }
  text.resize(filled);
  return text;
}

std::string why_unreadable(const std::filesystem::path& path) {
  try {
    const RegularFile file(path);
    return "";
  } catch (const IoError& error) {
    return error.what();
  }
}

}  // namespace varve
