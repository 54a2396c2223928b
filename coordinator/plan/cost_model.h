// How long a stage works, so that a cut can be chosen. Nominal: it counts what must be computed and
// read, not what a kernel makes of it. Only ratios matter to the cut, and of the rates only theirs.
#pragma once

#include <cstddef>
#include <vector>

#include "common/plan/footprint.h"

namespace varve {

/// A few CPU cores with their memory.
struct MachineRates {
  double flops_per_second = 100e9;
  double bytes_per_second = 20e9;
};

/// Of one layer: what attention sees depends on what its cache keeps.
struct LayerWork {
  // (query, key) pairs that attention visits, per head. Pairs whose weights are computed once more,
  // for a cache policy's scores, count half as much again.
  double prefill_pairs = 0;
  double decode_pairs = 0;
  double decode_kv_bytes = 0;  // of cached rows, read from memory while decoding
  bool operator==(const LayerWork&) const = default;
};

/// How much there is to do, as counts.
struct JobWork {
  double prefill_rows = 0;  // prefix, probes and questions
  double decode_rows = 0;   // answer tokens that are fed back
  double sampled_rows = 0;  // answer tokens
  double prefill_steps = 0;
  double decode_steps = 0;
  std::vector<LayerWork> layers;
};

/// Steps that the prefix is read in.
std::size_t prefix_steps(const JobShape& job);

/// `prompts` and `answers`: tokens of each question and of its answer, at most. `groups`: decode
/// steps that go round the pipeline at a time. Budgets that depend on the text count as their mean.
JobWork job_work(const ModelConfig& model, const JobShape& job,
                 const std::vector<std::size_t>& prompts, const std::vector<std::size_t>& answers,
                 std::size_t groups);

class CostModel {
 public:
  CostModel(const ModelConfig& model, const WeightBytes& weights, const JobWork& work,
            const MachineRates& rates);

  /// Of work in the whole job. The embedding lookup counts as nothing; the head, for the last
  /// stage, as what its sampled rows cost.
  double seconds(LayerRange layers) const;

 private:
  std::vector<double> until_;  // [layers + 1] seconds of the layers before
  double head_ = 0;
};

}  // namespace varve
