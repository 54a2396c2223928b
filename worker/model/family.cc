#include "worker/model/family.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "common/error.h"
#include "common/in_quotes.h"

namespace varve {
namespace {

constexpr std::array kFamilies = {&kLlama, &kMistral, &kQwen2, &kQwen3};

}  // namespace

const Family& find_family(std::string_view name, const std::string& where) {
  std::string known;
  for (const Family* family : kFamilies) {
    if (family->name == name) return *family;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", family->name);
  }
  throw ConfigError(fmt::format("{}: model family {} is not supported; known families: {}", where,
                                in_quotes(name), known));
}

void LayerContext::linear(ConstMatrix x, std::span<const Projection> outputs) const {
  if (runs.size() == 1) return ops.linear(x, outputs, runs.front().products);
  std::size_t at = 0;
  for (const RowRun& run : runs) {
    std::vector<Projection> part;
    for (const Projection& output : outputs) {
      part.push_back({output.w, output.y.slice(at, run.rows), output.bias});
    }
    ops.linear({x.row(at), run.rows, x.cols, x.stride}, part, run.products);
    at += run.rows;
  }
}

GatedMlp GatedMlp::load(const ModelConfig& config, LayerTensors& tensors) {
  return {.norm = tensors.vector("ffn_norm.weight", config.hidden),
          .gate = tensors.matrix("ffn_gate.weight", config.intermediate, config.hidden),
          .up = tensors.matrix("ffn_up.weight", config.intermediate, config.hidden),
          .down = tensors.matrix("ffn_down.weight", config.hidden, config.intermediate)};
}

void GatedMlp::forward(const LayerContext& context, Matrix x) const {
  Ops& ops = context.ops;
  const LayerScratch& s = context.scratch;
  ops.rms_norm(x, norm, context.config.norm_eps, s.h);
  context.linear(s.h, std::array{Projection{gate, s.gate}, Projection{up, s.up}});
  ops.silu_mul(s.gate, s.up, s.gate);
  context.linear(s.gate, {down, s.h});
  ops.add(s.h, x);
}

}  // namespace varve
