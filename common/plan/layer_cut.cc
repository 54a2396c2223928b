#include "common/plan/layer_cut.h"

#include <fmt/format.h>

namespace varve {

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
