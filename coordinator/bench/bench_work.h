// What a case must compute and read at least, by arithmetic: the numerator of a share of the peak.
#pragma once

#include <cstddef>
#include <span>

#include "common/dtype.h"
#include "common/model/model_config.h"
#include "common/plan/footprint.h"
#include "coordinator/bench/bench_case.h"

namespace varve {

/// Elements of the matrices that a token is multiplied with: [layers], and the head.
struct Parameters {
  std::size_t layers = 0;     // of all layers together
  std::size_t head = 0;       // vocab x hidden
  std::size_t embedding = 0;  // the same where it is a tensor of its own; looked up, not multiplied
  std::size_t total() const { return layers + head + embedding; }
};
Parameters parameters(const ModelConfig& model);

/// Of one repetition, all its sequences.
struct BenchWork {
  double flops = 0;
  double read_bytes = 0;  // generating; 0 for a prompt, which is not bound by memory
};

/// flops: 2 for each parameter of the layers and token; the same of the head for each token that is
/// sampled (all when generating, the last one of a prompt); and in each layer and query head
/// 4 * head_dim for each (query, key) pair, which is a dot product and a weighted sum.
///
/// read_bytes: with each step of each of the `groups` that sequences go round the pipeline in, all
/// weights (but an embedding table that is no head) and the rows that the sequences share; and each
/// sequence's own rows, itself included.
BenchWork work_of(const BenchCase& c, const ModelConfig& model, const WeightBytes& weights,
                  DType kv_dtype, std::size_t groups);

/// Arithmetic mean and sample standard deviation (0 for one value).
struct Spread {
  double mean = 0;
  double deviation = 0;
};
Spread spread_of(std::span<const double> values);

}  // namespace varve
