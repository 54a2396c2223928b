#include "common/log.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>

#include "common/in_quotes.h"

namespace varve {

struct Log::Output {
  std::mutex mutex;
  Sink sink;
};

namespace {

constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warning", "error"};

void write_stderr(std::string_view line) {
  while (!line.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, line.data(), line.size());
    if (count < 0 && errno != EINTR) return;  // nobody is left to tell
    if (count > 0) line.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

Log::Log(LogLevel least, Sink sink) : least_(least), output_(std::make_shared<Output>()) {
  output_->sink = sink ? std::move(sink) : Sink(write_stderr);
}

Log Log::with(std::string_view who) const {
  Log log = *this;
  if (!log.who_.empty()) log.who_ += ' ';
  log.who_ += escaped(who);
  return log;
}

void Log::write(LogLevel level, std::string_view message) const {
  if (!enabled(level)) return;
  const std::chrono::duration<double> age = std::chrono::steady_clock::now() - begin_;
  std::string line =
      fmt::format("[{:.3f} {}{}{}] ", age.count(), kNames[static_cast<std::size_t>(level)],
                  who_.empty() ? "" : " ", who_);
  line += escaped(message) + '\n';
  const std::lock_guard lock(output_->mutex);
  output_->sink(line);
}

}  // namespace varve
