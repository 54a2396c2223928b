// What every stage relies on, checked step by step: an oracle that knows the job but not the
// batcher.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "coordinator/schedule/batcher.h"

namespace varve::test {

class StepChecker {
 public:
  explicit StepChecker(const BatchJob& job) : job_(job) {}

  /// Takes the next step in the order of entry.
  void take(const Step& step);
  /// The tokens of a result that the batcher has been told.
  void heard(const StepResult& result);
  /// After kStop: nothing may be left.
  void expect_end();

  /// The first rule that was broken; empty: none.
  const std::string& problem() const { return problem_; }
  std::size_t open_rows() const;  // capacity of all sequences that are open
  std::size_t peak_rows() const { return peak_rows_; }
  std::size_t steps() const { return next_id_; }

 private:
  struct Sequence {
    std::size_t base = 0;  // rows of the parent
    std::size_t capacity = 0;
    std::size_t rows = 0;
    bool forked = false;
    bool compacted = false;
    bool sampled = false;  // its last row yields a token
    bool has_answer = false;
    std::int32_t answer = 0;  // the last token that came back
  };

  void open(const Step& step);
  void rows(const Step& step);
  void range(const SequenceRows& r, const std::int32_t* tokens);
  void save(const Step& step);
  void load(const Step& step);
  void compact(const Step& step);
  void probe(const SequenceRows& r, std::size_t index, const std::int32_t* tokens);
  void release(const Step& step);
  bool all_read() const;
  bool may_go_on(std::uint32_t sequence, const Sequence& s) const;
  std::int32_t due_token(std::uint32_t sequence, const Sequence& s, std::size_t position) const;
  void require(bool condition, const std::string& rule);

  const BatchJob& job_;
  std::map<std::uint32_t, Sequence> open_;
  std::map<std::uint32_t, int> opened_;
  std::size_t next_id_ = 0;
  std::size_t peak_rows_ = 0;
  std::vector<std::size_t> saved_;  // rows of each save
  bool stopped_ = false;
  std::string problem_;
};

}  // namespace varve::test
