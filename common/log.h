// One line per event. A Log is passed by reference to whoever has something to say; there is no
// global one. Libraries log events; what a person asked to see (tables, problem lists) is the
// command line's to print.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace varve {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Safe to use from several threads at once. Copies, and logs made by with(), share one sink.
class Log {
 public:
  /// Takes a finished line, with its newline; called under the log's lock.
  using Sink = std::function<void(std::string_view line)>;

  /// Events below `least` are dropped before they are formatted. The default sink is stderr, one
  /// write per line, so that lines of several processes do not mix.
  explicit Log(LogLevel least = LogLevel::kInfo, Sink sink = {});

  /// The same log with `who` ("rank 2", "stage 1") after what stood there already.
  Log with(std::string_view who) const;

  bool enabled(LogLevel level) const { return level >= least_; }

  /// Writes "[12.345 warning rank 2] message", the time in seconds since the log was made.
  /// Control characters are escaped: one event is one line whatever a file name contains.
  void write(LogLevel level, std::string_view message) const;

  template <class... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) const {
    event(LogLevel::kDebug, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    event(LogLevel::kInfo, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) const {
    event(LogLevel::kWarning, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) const {
    event(LogLevel::kError, format, std::forward<Args>(args)...);
  }

 private:
  struct Output;

  template <class... Args>
  void event(LogLevel level, fmt::format_string<Args...> format, Args&&... args) const {
    if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
  }

  LogLevel least_;
  std::string who_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::shared_ptr<Output> output_;
};

}  // namespace varve
