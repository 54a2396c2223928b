#include "common/plan/world.h"

#include <algorithm>

#include "common/error.h"

namespace varve {

World::World(std::vector<LayerRange> stages) : stages_(std::move(stages)) {
  VARVE_CHECK(!stages_.empty(), "a pipeline of {} stages", stages_.size());
  const std::string problem = cut_problem(stages_, layers(), ranks());
  VARVE_CHECK(problem.empty(), "{}", problem);
}

std::size_t World::rank_of_layer(std::size_t layer) const {
  VARVE_CHECK(layer < layers(), "layer {} of {}", layer, layers());
  const auto after = std::upper_bound(stages_.begin(), stages_.end(), layer,
                                      [](std::size_t l, const LayerRange& s) { return l < s.end; });
  return static_cast<std::size_t>(after - stages_.begin());
}

std::optional<std::size_t> World::previous(std::size_t rank) const {
  if (first(rank)) return std::nullopt;
  return rank - 1;
}

std::optional<std::size_t> World::next(std::size_t rank) const {
  if (last(rank)) return std::nullopt;
  return rank + 1;
}

StagePlan World::stage_plan(std::size_t rank, std::size_t chunk, std::size_t in_flight) const {
  return {.rank = static_cast<std::uint32_t>(rank),
          .layers = stage(rank),
          .first = first(rank),
          .last = last(rank),
          .chunk = chunk,
          .in_flight = in_flight};
}

std::string cut_problem(std::span<const LayerRange> cut, std::size_t layers, std::size_t ranks) {
  if (cut.size() != ranks) return fmt::format("{} ranges for {} ranks", cut.size(), ranks);
  std::size_t at = 0;
  for (const LayerRange& r : cut) {
    if (r.begin != at) return fmt::format("{}:{} should begin at layer {}", r.begin, r.end, at);
    if (r.end <= r.begin) return fmt::format("{}:{} holds no layer", r.begin, r.end);
    at = r.end;
  }
  if (at != layers) return fmt::format("it ends at layer {}, the model has {}", at, layers);
  return {};
}

std::string to_string(std::span<const LayerRange> cut) {
  std::string text;
  for (const LayerRange& r : cut) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ", ", r.begin, r.end);
  }
  return text;
}

}  // namespace varve
