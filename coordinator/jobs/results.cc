#include "coordinator/jobs/results.h"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "coordinator/jobs/atomic_file.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

// A rate or a time per token; null where there was nothing to time, for JSON has no infinity.
Json ratio(double value, double by) {
  return by > 0 ? Json(value / by) : Json(nullptr);
}

Json timings_json(const Timings& t) {
  const auto prompt = static_cast<double>(t.prompt_n);
  const auto predicted = static_cast<double>(t.predicted_n);
  return {{"cache_n", t.cache_n},
          {"prompt_n", t.prompt_n},
          {"prompt_ms", t.prompt_ms},
          {"prompt_per_token_ms", ratio(t.prompt_ms, prompt)},
          {"prompt_per_second", ratio(1e3 * prompt, t.prompt_ms)},
          {"predicted_n", t.predicted_n},
          {"predicted_ms", t.predicted_ms},
          {"predicted_per_token_ms", ratio(t.predicted_ms, predicted)},
          {"predicted_per_second", ratio(1e3 * predicted, t.predicted_ms)}};
}

}  // namespace

std::string to_json_line(const QuestionResult& r) {
  const Json json = {{"id", r.id},
                     {"question", r.question},
                     {"answer", r.answer},
                     {"finish_reason", r.finish_reason},
                     {"tokens", r.tokens},
                     {"prompt_tokens", r.timings.cache_n + r.timings.prompt_n},
                     {"predicted_tokens", r.timings.predicted_n},
                     {"timings", timings_json(r.timings)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ResultsWriter::ResultsWriter(const OutputPaths& paths) : path_(paths.results) {
  errno = 0;
  file_.open(path_, std::ios::binary | std::ios::trunc);
  if (!file_) fail();
  std::error_code ignored;
  std::filesystem::remove(paths.run, ignored);
  std::filesystem::remove(paths.verdict, ignored);
  std::filesystem::remove(paths.audit, ignored);
}

void ResultsWriter::write(const QuestionResult& result) {
  errno = 0;
  file_ << to_json_line(result) << '\n' << std::flush;
  if (!file_) fail();
}

void ResultsWriter::fail() const {
  throw IoError(fmt::format("{}: cannot be written: {}", path_.string(), errno_text(errno)));
}

}  // namespace varve
