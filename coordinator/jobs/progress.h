// One line that says how far the job is: rewritten in place on a terminal, otherwise a plain line
// now and then.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/jobs/prefill_clock.h"

namespace varve {

struct ProgressOptions {
  bool terminal = false;
  std::size_t width = 80;  // columns of the terminal
  std::chrono::milliseconds terminal_interval{100};
  std::chrono::milliseconds plain_interval{5000};
};

/// Used by one thread at a time.
class Progress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Clock = std::function<Time()>;
  using Sink = std::function<void(std::string_view)>;
  using Busy = std::function<std::vector<double>()>;  // share of its time that each stage computes

  /// `busy` may be empty; its values are asked for when a line is written.
  Progress(const ProgressOptions& options, Sink sink, Busy busy = {},
           Clock clock = std::chrono::steady_clock::now);

  /// An earlier run has done so many tokens of the prefix: they do not count in rates.
  void resume(std::size_t done);
  /// `done` of `total` tokens of the prefix. Time counts from the call with done = 0, or from the
  /// construction. The last one (done = total) is always shown.
  void prefill(std::size_t done, std::size_t total);
  /// Tokens of all answers so far, and how many questions are done. The last one (all done) is
  /// always shown.
  void decode(std::size_t tokens, std::size_t finished, std::size_t questions);

  /// Makes room for other output: removes the line from the terminal until the next call.
  void clear();
  /// Leaves the last line where it is; nothing may follow.
  void end();

 private:
  bool due(bool last) const;
  void show(const std::string& line);
  std::string busy_text() const;
  double seconds_since(Time begin) const;

  ProgressOptions options_;
  Sink sink_;
  Busy busy_;
  Clock clock_;
  PrefillClock prefill_clock_;
  Time prefill_begin_;
  std::size_t prefill_before_ = 0;  // tokens of an earlier run
  std::optional<Time> decode_begin_;
  std::size_t decode_before_ = 0;  // tokens when the decoding was first heard of
  std::optional<Time> shown_;
  bool line_open_ = false;  // a line on the terminal without its newline
};

}  // namespace varve
