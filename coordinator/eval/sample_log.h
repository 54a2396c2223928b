// The samples that are done, one line of JSON each, so that an evaluation that was stopped goes on
// where it was. Lines of other configurations may stand there too: they are left alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace varve {

struct QuestionScore {
  std::string expected;
  std::string answer;        // as generated; empty where the expected one was scored
  bool right = false;        // of a generated answer
  std::uint64_t tokens = 0;  // of the answer
  double logprob = 0;        // of them, the sum, natural
};

struct SampleResult {
  std::string key;   // cell_key
  std::string task;  // these four for people
  std::uint32_t length = 0;
  std::string policy;
  std::string budget;
  std::uint64_t sample = 0;
  std::uint64_t document_tokens = 0;
  std::uint64_t kept_rows = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t after_bytes = 0;
  std::uint64_t rows = 0;  // of questions and answers
  double seconds = 0;      // of those
  double read_seconds = 0;
  std::vector<QuestionScore> questions;
};

/// Without a newline. Bytes that are not UTF-8 become U+FFFD.
std::string to_json_line(const SampleResult& result);
/// Error if it is no such line, without saying where.
SampleResult read_json_line(const std::string& line);

class SampleLog {
 public:
  /// Reads what is there, if anything. A last line that was cut off in writing is dropped. IoError
  /// names the path and the line of what is no result.
  explicit SampleLog(std::filesystem::path path);

  /// Appends and hands it to the operating system. IoError.
  void add(const SampleResult& result);

  bool has(const std::string& key, std::uint64_t sample) const;
  /// Of that key with a sample number below `samples`, by it.
  std::vector<SampleResult> results(const std::string& key, std::uint64_t samples) const;

 private:
  std::filesystem::path path_;
  std::ofstream file_;
  std::map<std::string, std::map<std::uint64_t, SampleResult>> results_;
};

}  // namespace varve
