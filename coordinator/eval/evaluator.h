// Hands out the documents of a matrix that are not done yet, and judges what comes back.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/model/model_config.h"
#include "common/text/tokenizer.h"
#include "coordinator/eval/eval_memory.h"
#include "coordinator/eval/eval_source.h"
#include "coordinator/eval/matrix.h"
#include "coordinator/eval/sample_builder.h"
#include "coordinator/eval/sample_log.h"

namespace varve {

/// All references must outlive it.
struct EvalSetting {
  const EvalMatrix& matrix;
  EvalBasis basis;
  const ModelConfig& model;
  DType kv_dtype = DType::kF16;
  std::uint32_t chunk = 512;
  const Tokenizer& tokenizer;
  const SampleBuilder& builder;
};

/// Samples come one after the other, each in all its cells, so that whatever is done by the time of
/// a stop is an evaluation with fewer samples.
class Evaluator final : public EvalListener {
 public:
  /// Hears of each result, with how many there are now and will be.
  using OnResult = std::function<void(const SampleResult&, std::size_t done, std::size_t total)>;

  /// `log` must outlive this.
  Evaluator(EvalSetting setting, SampleLog& log, OnResult on_result = {});

  /// Builds the first sample of each task at each length: what is wrong with one is an error before
  /// any work is done. The counts that no sample exceeds, by task and length.
  std::vector<EvalShape> check_samples() const;

  bool next_unit(EvalUnit& unit) override;
  void on_outcome(const EvalOutcome& outcome) override;

  const RunPolicies& policies() const { return policies_; }
  std::size_t done() const { return done_; }
  std::size_t total() const { return total_; }

 private:
  struct Place {
    std::size_t task = 0;
    std::size_t length = 0;
    std::uint64_t sample = 0;
  };
  const std::string& key(std::size_t task, std::size_t length, std::size_t policy) const;
  std::vector<std::size_t> missing(const Place& place) const;
  Place place_of(std::uint64_t unit) const;
  BuiltSample build(const Place& place) const;
  EvalShape shape_of(std::size_t task, std::size_t length) const;
  void check_scored(const std::string& task, const std::vector<EvalQuestion>& questions) const;
  SampleResult judged(const EvalOutcome& outcome, std::size_t policy) const;
  QuestionScore score(std::size_t question, const EvalAnswer& answer) const;

  EvalSetting setting_;
  SampleLog& log_;
  OnResult on_result_;
  RunPolicies policies_;
  std::vector<std::string> keys_;  // by cell
  std::uint64_t next_ = 0;         // unit
  BuiltSample sample_;             // that is under way
  std::size_t done_ = 0;
  std::size_t total_ = 0;
};

}  // namespace varve
