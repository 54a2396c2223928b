// An architecture family: one file in families/, one line in the table of family.cc. A family says
// which tensors a layer has and how they are applied; it is the only place that knows either.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/model/model_config.h"
#include "kernels/ops.h"
#include "worker/model/layer_tensors.h"

namespace varve {

/// The matrices that a layer computes in; T rows are in use. All stages' layers share one set.
struct LayerScratch {
  Matrix h;     // [T, hidden]
  Matrix q;     // [T, Hq * D]
  Matrix k;     // [T, Hkv * D]
  Matrix v;     // [T, Hkv * D]
  Partial o;    // out [T, Hq * D], lse [T, Hq]
  Matrix gate;  // [T, intermediate]
  Matrix up;    // [T, intermediate]
};

/// Appends k, v to the layer's cache and leaves the attention of q over it in `out`; k may be
/// overwritten. Bound by the stage: model and cache do not know each other.
using Attend = std::function<void(std::size_t layer, ConstMatrix q, Matrix k, ConstMatrix v,
                                  std::optional<std::size_t> window, Partial out)>;

/// Rows of a step that come one behind the other and are multiplied alike.
struct RowRun {
  std::size_t rows = 0;
  Products products = Products::kFloat;
};

struct LayerContext {
  Ops& ops;
  const ModelConfig& config;
  LayerScratch scratch;            // views of T rows
  ConstMatrix angles;              // cos, sin [T, rope_dims]
  std::span<const RowRun> runs{};  // of the T rows
  const Attend& attend;

  /// Ops::linear, each run of rows in its way.
  void linear(ConstMatrix x, std::span<const Projection> outputs) const;
  void linear(ConstMatrix x, const Projection& output) const { linear(x, std::span(&output, 1)); }
};

class DecoderLayer {
 public:
  virtual ~DecoderLayer() = default;
  /// x [T, hidden], the residual stream, is read and added to.
  virtual void forward(const LayerContext& context, Matrix x) const = 0;
};

struct Family {
  std::string_view name;  // ModelConfig::family: GGUF architecture or Hugging Face model_type
  std::unique_ptr<DecoderLayer> (*load)(std::size_t layer, const ModelConfig& config,
                                        LayerTensors& tensors);
};

/// Family::load of a layer that is made of (layer, config, tensors).
template <class Layer>
std::unique_ptr<DecoderLayer> load_layer(std::size_t layer, const ModelConfig& config,
                                         LayerTensors& tensors) {
  return std::make_unique<Layer>(layer, config, tensors);
}

extern const Family kLlama;
extern const Family kMistral;
extern const Family kQwen2;
extern const Family kQwen3;

/// ConfigError that lists the known families if there is none of that name. `where` is the file.
const Family& find_family(std::string_view name, const std::string& where);

/// The feed-forward block of all four families: x += down(silu(gate(h)) * up(h)), h = norm(x).
struct GatedMlp {
  Weight norm;  // [hidden]
  Weight gate;  // [intermediate, hidden]
  Weight up;    // [intermediate, hidden]
  Weight down;  // [hidden, intermediate]

  static GatedMlp load(const ModelConfig& config, LayerTensors& tensors);
  void forward(const LayerContext& context, Matrix x) const;
};

}  // namespace varve
