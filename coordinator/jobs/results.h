// The answers: one line of JSON per question, there as soon as the question is done.
#pragma once

#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "coordinator/jobs/output_dir.h"

namespace varve {

/// Of one question, by llama.cpp's names and as it counts. Prompt: its own tokens, from its opening
/// to its first token; the prefix is cached. Predicted: all tokens of the answer, from the first to
/// the last, so that the first one's time is the prompt's.
struct Timings {
  std::uint64_t cache_n = 0;
  std::uint64_t prompt_n = 0;
  double prompt_ms = 0;
  std::uint64_t predicted_n = 0;
  double predicted_ms = 0;
};

struct QuestionResult {
  std::string id;
  std::string question;
  std::string answer;
  std::string finish_reason;         // "stop", "length"
  std::vector<std::int32_t> tokens;  // of the answer
  Timings timings;
};

/// The line of a result, without a newline. Bytes that are not UTF-8 become U+FFFD.
std::string to_json_line(const QuestionResult& result);

class ResultsWriter {
 public:
  /// Starts an empty results file and removes what an earlier run left beside it, so that results
  /// never stand next to another run's report. IoError.
  explicit ResultsWriter(const OutputPaths& paths);

  /// Appends a line and hands it to the operating system. IoError if that fails.
  void write(const QuestionResult& result);

 private:
  [[noreturn]] void fail() const;

  std::filesystem::path path_;
  std::ofstream file_;
};

/// For people: a line per question (id, finish, tokens, speed, answer), none wider than `width`
/// columns.
std::string results_table(std::span<const QuestionResult> results, std::size_t width);

/// `text` on one line of at most `width` columns: white space becomes one blank, control characters
/// go, and what does not fit is replaced by "…". East Asian wide characters count as two.
std::string shortened(std::string_view text, std::size_t width);

}  // namespace varve
