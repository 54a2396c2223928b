// Whether a job fits its ranks, and if not, what would.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/plan/partition.h"
#include "coordinator/plan/planner.h"

namespace varve {

/// Positions that a prefix of so many rows leaves taken.
std::size_t taken_positions(const ModelConfig& model, const JobDemand& demand, std::size_t prefix);
/// Most positions that are taken while it is read.
std::size_t reading_positions(const ModelConfig& model, const JobDemand& demand,
                              std::size_t prefix);

/// The rows of a job with this prefix and so many questions at a time. Answers end where the
/// context does; prefix and question must fit it.
JobShape shape_of(const ModelConfig& model, const JobDemand& demand, std::size_t prefix,
                  std::size_t parallel);

/// Bytes (and no seconds) of every range of layers.
PriceTable price_bytes(const ModelConfig& model, const WeightBytes& weights, const JobShape& shape);

/// Answers for one job; the references must outlive it. options.memory_limit must be set.
class Fit {
 public:
  Fit(const ModelConfig& model, const WeightBytes& weights, const JobDemand& demand,
      const PlanOptions& options)
      : model_(model), weights_(weights), demand_(demand), options_(options) {}

  bool fits(std::size_t ranks, std::size_t prefix, std::size_t parallel) const;
  /// Most tokens of a document that fits these ranks and leaves every answer its length.
  std::optional<std::size_t> largest_document(std::size_t parallel) const;
  /// What keeps a document of that size plus one from fitting: "rank 1 is full first".
  std::string bound_of(std::size_t document, std::size_t parallel) const;
  /// Fewest ranks, more than there are, that this document fits.
  std::optional<std::size_t> fewest_ranks(std::size_t parallel) const;
  /// Most questions at a time, fewer than `parallel`, that fit.
  std::optional<std::size_t> fewer_parallel(std::size_t parallel) const;

  /// The message for a job that does not fit.
  std::string shortfall(std::size_t parallel) const;

 private:
  std::size_t before_document() const { return demand_.prefix_tokens - demand_.document_tokens; }
  bool within_context(std::size_t prefix, std::size_t after) const;
  std::optional<std::size_t> longest_prefix() const;
  std::vector<LayerRange> roomiest(const PriceTable& prices, std::size_t ranks) const;

  const ModelConfig& model_;
  const WeightBytes& weights_;
  const JobDemand& demand_;
  const PlanOptions& options_;
};

}  // namespace varve
