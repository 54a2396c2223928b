// Where a rank stands in the pipeline, as pure arithmetic: rank r runs stage r, activations go from
// r to r + 1. No communicator is needed to ask, so none is needed to test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/plan/footprint.h"

namespace varve {

/// What one rank must know of the plan.
struct StagePlan {
  std::uint32_t rank = 0;
  LayerRange layers;
  bool first = false;
  bool last = false;
  std::uint64_t chunk = 0;      // most rows of a step
  std::uint64_t in_flight = 0;  // most steps under way on a boundary
};
template <class A>
void visit(A& a, StagePlan& s) {
  a(s.rank, s.layers.begin, s.layers.end, s.first, s.last, s.chunk, s.in_flight);
}

/// A model's layers cut into stages, one per rank.
class World {
 public:
  /// The ranges must be a cut: contiguous from layer 0, none empty.
  explicit World(std::vector<LayerRange> stages);

  std::size_t ranks() const { return stages_.size(); }
  std::size_t layers() const { return stages_.back().end; }
  LayerRange stage(std::size_t rank) const { return stages_.at(rank); }
  std::size_t rank_of_layer(std::size_t layer) const;

  bool first(std::size_t rank) const { return rank == 0; }
  bool last(std::size_t rank) const { return rank + 1 == ranks(); }
  /// The rank whose activations this one takes, and the one that takes its own.
  std::optional<std::size_t> previous(std::size_t rank) const;
  std::optional<std::size_t> next(std::size_t rank) const;

  StagePlan stage_plan(std::size_t rank, std::size_t chunk, std::size_t in_flight) const;

 private:
  std::vector<LayerRange> stages_;
};

/// What keeps `cut` from being a cut of `layers` layers for `ranks` ranks, as a clause; empty if
/// nothing does.
std::string cut_problem(std::span<const LayerRange> cut, std::size_t layers, std::size_t ranks);

/// As users write it: "0:15, 15:30".
std::string to_string(std::span<const LayerRange> cut);

}  // namespace varve
