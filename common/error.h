// Failure classes and the exit code that each maps to. Two kinds of failure (docs/errors.md):
// what a user or a machine caused is an Error with a code; a bug is a failed VARVE_CHECK.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace varve {

/// What the process returns. The numbers are part of the interface (README, "Exit codes").
enum class ExitCode : int {
  kDone = 0,
  kOther = 1,
  kUsage = 2,       // command line, job file, or an input file
  kDoesNotFit = 3,  // the plan does not fit
  kReceipt = 4,     // a policy that was asked for did not act
  kRankLost = 5,    // a rank died, hung, or failed
  kInterrupted = 130,
  kTerminated = 143,
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

/// A job, cluster file or option that is wrong: what, where, what would be right.
struct ConfigError : Error {
  explicit ConfigError(const std::string& m) : Error(ExitCode::kUsage, m) {}
};
/// A file that is missing, unreadable, truncated or corrupt. The message starts with its path.
struct IoError : Error {
  explicit IoError(const std::string& m) : Error(ExitCode::kUsage, m) {}
};
/// The job cannot be placed on the ranks that it was given.
struct PlanError : Error {
  explicit PlanError(const std::string& m) : Error(ExitCode::kDoesNotFit, m) {}
};
/// Another rank was lost or did not answer: who waited for whom, for what, how long.
struct PeerError : Error {
  explicit PeerError(const std::string& m) : Error(ExitCode::kRankLost, m) {}
};
/// A device or a backend that is missing or failed; names itself.
struct DeviceError : Error {
  explicit DeviceError(const std::string& m) : Error(ExitCode::kOther, m) {}
};

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& detail);

}  // namespace varve

/// A condition that only a bug can break. The detail is a format string that prints both values.
#define VARVE_CHECK(condition, ...)                                                      \
  do {                                                                                   \
    if (!(condition)) [[unlikely]]                                                       \
      ::varve::check_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)
