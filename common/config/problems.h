// Everything that is wrong with a configuration, in one report. A user who fixes what it says need
// not run the program once per mistake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

/// Where a value was written. Lines and columns count from 1, columns in characters; 0 is unknown.
struct Where {
  std::string source;  // the file as the user named it, or the override: "--set a.b=c"
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

class Problems {
 public:
  /// `path` is the dotted path of the value, empty for the whole file; `text` says what is wrong
  /// and what would be right.
  void add(const Where& where, std::string_view path, std::string_view text);

  /// Problems of `source` come before those of sources that are named later.
  void expect(const std::string& source) { source_index(source); }

  bool empty() const { return problems_.empty(); }
  std::size_t count() const { return problems_.size() + dropped_; }
  /// No more are kept, so that a file of nothing but mistakes costs little.
  bool full() const { return problems_.size() >= kMostKept; }

  /// "job.yaml:7:3: prefill.chunk: must be between 1 and 65536, is 0", one each, by source in the
  /// order of first mention, then by line.
  std::vector<std::string> lines() const;

  /// A ConfigError of all lines, if there is any.
  void throw_if_any() const;

 private:
  static constexpr std::size_t kMostKept = 100;
  struct Problem {
    std::size_t source;  // index in sources_
    Where where;
    std::string text;
  };
  std::size_t source_index(const std::string& source);

  std::vector<std::string> sources_;
  std::vector<Problem> problems_;
  std::size_t dropped_ = 0;
};

/// The known name that a misspelt one most likely meant, or empty. Case and '-' for '_' do not
/// count, a beginning of at least three letters does ("temp" is near "temperature").
std::string_view nearest_name(std::string_view wrong, std::span<const std::string_view> known);

/// "; did you mean 'x'?; known: x, y, z"
std::string name_hint(std::string_view wrong, std::span<const std::string_view> known);

}  // namespace varve
