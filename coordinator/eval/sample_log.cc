#include "coordinator/eval/sample_log.h"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "coordinator/jobs/atomic_file.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostBytes = std::size_t{1} << 30;

Json question_json(const QuestionScore& q) {
  return {{"expected", q.expected},
          {"answer", q.answer},
          {"right", q.right},
          {"tokens", q.tokens},
          {"logprob", q.logprob}};
}

QuestionScore read_question(const Json& json) {
  return {.expected = json.at("expected"),
          .answer = json.at("answer"),
          .right = json.at("right"),
          .tokens = json.at("tokens"),
          .logprob = json.at("logprob")};
}

}  // namespace

std::string to_json_line(const SampleResult& r) {
  Json questions = Json::array();
  for (const QuestionScore& q : r.questions) questions.push_back(question_json(q));
  const Json json = {{"key", r.key},
                     {"task", r.task},
                     {"length", r.length},
                     {"policy", r.policy},
                     {"budget", r.budget},
                     {"sample", r.sample},
                     {"document_tokens", r.document_tokens},
                     {"kept_rows", r.kept_rows},
                     {"peak_bytes", r.peak_bytes},
                     {"after_bytes", r.after_bytes},
                     {"rows", r.rows},
                     {"seconds", r.seconds},
                     {"read_seconds", r.read_seconds},
                     {"questions", questions}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

SampleResult read_json_line(const std::string& line) {
  try {
    const Json json = Json::parse(line);
    SampleResult r{.key = json.at("key"),
                   .task = json.at("task"),
                   .length = json.at("length"),
                   .policy = json.at("policy"),
                   .budget = json.at("budget"),
                   .sample = json.at("sample"),
                   .document_tokens = json.at("document_tokens"),
                   .kept_rows = json.at("kept_rows"),
                   .peak_bytes = json.at("peak_bytes"),
                   .after_bytes = json.at("after_bytes"),
                   .rows = json.at("rows"),
                   .seconds = json.at("seconds"),
                   .read_seconds = json.at("read_seconds"),
                   .questions = {}};
    for (const Json& q : json.at("questions")) r.questions.push_back(read_question(q));
    return r;
  } catch (const Json::exception& error) {
    throw IoError(error.what());
  }
}

SampleLog::SampleLog(std::filesystem::path path) : path_(std::move(path)) {
  std::string text;
  std::error_code ignored;
  if (std::filesystem::exists(path_, ignored)) text = read_text_file(path_, kMostBytes);
  std::size_t at = 0;
  std::size_t number = 1;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n', at), ++number) {
    try {
      SampleResult result = read_json_line(text.substr(at, end - at));
      results_[result.key].insert_or_assign(result.sample, std::move(result));
    } catch (const IoError& error) {
      throw IoError(
          fmt::format("{}:{}: is no result of an evaluation ({}); choose another "
                      "output.dir, or remove the file",
                      path_.string(), number, error.what()));
    }
    at = end + 1;
  }
  if (at < text.size()) write_file_atomically(path_, std::string_view(text).substr(0, at));
  errno = 0;
  file_.open(path_, std::ios::binary | std::ios::app);
  if (!file_) {
    throw IoError(fmt::format("{}: cannot be written: {}", path_.string(), errno_text(errno)));
  }
}

void SampleLog::add(const SampleResult& result) {
  errno = 0;
  file_ << to_json_line(result) << '\n' << std::flush;
  if (!file_) {
    throw IoError(fmt::format("{}: cannot be written: {}", path_.string(), errno_text(errno)));
  }
  results_[result.key].insert_or_assign(result.sample, result);
}

bool SampleLog::has(const std::string& key, std::uint64_t sample) const {
  const auto found = results_.find(key);
  return found != results_.end() && found->second.contains(sample);
}

std::vector<SampleResult> SampleLog::results(const std::string& key, std::uint64_t samples) const {
  std::vector<SampleResult> list;
  const auto found = results_.find(key);
  if (found == results_.end()) return list;
  for (const auto& [sample, result] : found->second) {
    if (sample < samples) list.push_back(result);
  }
  return list;
}

}  // namespace varve
