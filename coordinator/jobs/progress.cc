#include "coordinator/jobs/progress.h"

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "common/units.h"

namespace varve {
namespace {

std::string rate_text(double tokens, double seconds) {
  if (seconds <= 0) return "- tok/s";
  const double rate = tokens / seconds;
  return rate < 10 ? fmt::format("{:.1f} tok/s", rate) : fmt::format("{:.0f} tok/s", rate);
}

// Whole seconds: more digits would only flicker.
std::string seconds_text(double seconds) {
  if (seconds < 1) return "< 1 s";
  return to_string(std::chrono::duration_cast<Duration>(
      std::chrono::seconds(static_cast<std::chrono::seconds::rep>(std::llround(seconds)))));
}

}  // namespace

Progress::Progress(const ProgressOptions& options, Sink sink, Busy busy, Clock clock)
    : options_(options),
      sink_(std::move(sink)),
      busy_(std::move(busy)),
      clock_(std::move(clock)),
      prefill_begin_(clock_()) {}

double Progress::seconds_since(Time begin) const {
  return std::chrono::duration<double>(clock_() - begin).count();
}

bool Progress::due(bool last) const {
  if (last || !shown_) return true;
  const auto interval = options_.terminal ? options_.terminal_interval : options_.plain_interval;
  return clock_() - *shown_ >= interval;
}

void Progress::resume(std::size_t done) {
  prefill_before_ = done;
  prefill_begin_ = clock_();
  prefill_clock_.skip(done);
}

void Progress::prefill(std::size_t done, std::size_t total) {
  if (done == 0) prefill_begin_ = clock_();
  const double seconds = seconds_since(prefill_begin_);
  prefill_clock_.add(done, seconds);
  const bool last = done >= total;
  if (done <= prefill_before_ || !due(last)) return;
  const double percent = 100 * static_cast<double>(done) / static_cast<double>(total);
  std::string line =
      fmt::format("prefill {}/{} tokens ({:.0f} %)  {}", done, total, std::floor(percent),
                  rate_text(static_cast<double>(done - prefill_before_), seconds));
  if (last) {
    line += fmt::format("  took {}", seconds_text(seconds));
  } else if (const std::optional<double> left = prefill_clock_.remaining(total)) {
    line += fmt::format("  ETA {}", seconds_text(*left));
  }
  show(line + busy_text());
}

void Progress::decode(std::size_t tokens, std::size_t finished, std::size_t questions) {
  if (!decode_begin_) {
    decode_begin_ = clock_();
    decode_before_ = tokens;
  }
  if (!due(finished >= questions)) return;
  const auto since = static_cast<double>(tokens - decode_before_);
  show(fmt::format("decode {} tokens  {}/{} questions done  {}{}", tokens, finished, questions,
                   rate_text(since, seconds_since(*decode_begin_)), busy_text()));
}

std::string Progress::busy_text() const {
  if (!busy_) return {};
  std::string text;
  for (const double share : busy_()) text += fmt::format(" {:.0f} %", 100 * share);
  return text.empty() ? text : "  busy" + text;
}

void Progress::show(const std::string& line) {
  shown_ = clock_();
  if (!options_.terminal) {
    sink_(line + "\n");
    return;
  }
  // A line as wide as the terminal would wrap, and then not be overwritten.
  const std::size_t room = options_.width > 1 ? options_.width - 1 : 1;
  sink_("\r\x1b[K" + line.substr(0, room));
  line_open_ = true;
}

void Progress::clear() {
  if (line_open_) sink_("\r\x1b[K");
  line_open_ = false;
}

void Progress::end() {
  if (line_open_) sink_("\n");
  line_open_ = false;
}

}  // namespace varve
