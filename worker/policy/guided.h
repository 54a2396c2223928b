// Question-guided scoring: what the probes of a job (its questions, or how their answers begin) pay
// to each row while the document is read. Probes are rows of a step that nobody keeps.
#pragma once

#include <memory>
#include <vector>

#include "worker/policy/observed.h"
#include "worker/policy/scorer.h"

namespace varve {

/// The probability that each row receives from one probe: per query head the maximum over the
/// probe's tokens (or their sum), summed over the query heads of a key head. `scores` [Hkv, rows of
/// the segment], host floats, become the maximum of what they are and that, so that several probes
/// may follow one another in any order.
void add_probe(Ops& ops, const AttendParams& params, const ObservedRows& probe,
               const SegmentView& segment, bool sum_over_tokens, Matrix scores);

/// Scores that are added up over layers, heads and ranks: exact in any order, so that a sum does
/// not depend on how a model was cut. A score of 1 is 2^36; 2^27 of them fit.
std::int64_t to_fixed(float score);
float from_fixed(std::int64_t sum);
/// Adds scores [any number of heads, rows] up to `sums` [rows].
void add_fixed(std::span<const float> scores, std::span<std::int64_t> sums);
std::vector<float> from_fixed(std::span<const std::int64_t> sums);

/// Scores [heads, columns] of rows at `positions` [heads, columns], ascending, or [columns], the
/// same for all heads.
struct PlacedScores {
  std::vector<float> scores;
  std::vector<std::int32_t> positions;
  std::size_t heads = 1;

  std::size_t columns() const { return scores.size() / heads; }
};

/// Pools the scores of each head (pool_max_near); the best of its first `candidates` columns.
KeptRows best_pooled(PlacedScores rows, std::size_t candidates, const Keep& keep,
                     std::size_t kernel);

}  // namespace varve
