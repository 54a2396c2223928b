// Qwen3 (arXiv 2505.09388): no biases; queries and keys are normalised per head before the
// rotation.
#include <array>

#include "worker/model/family.h"

namespace varve {
namespace {

class Qwen3Layer : public DecoderLayer {
 public:
  Qwen3Layer(std::size_t layer, const ModelConfig& c, LayerTensors& t)
      : layer_(layer),
        norm_(t.vector("attn_norm.weight", c.hidden)),
        wq_(t.matrix("attn_q.weight", c.q_width(), c.hidden)),
        wk_(t.matrix("attn_k.weight", c.kv_width(), c.hidden)),
        wv_(t.matrix("attn_v.weight", c.kv_width(), c.hidden)),
        q_norm_(t.vector("attn_q_norm.weight", c.head_dim)),
        k_norm_(t.vector("attn_k_norm.weight", c.head_dim)),
        wo_(t.matrix("attn_output.weight", c.hidden, c.q_width())),
        mlp_(GatedMlp::load(c, t)) {}

  void forward(const LayerContext& context, Matrix x) const override {
    Ops& ops = context.ops;
    const ModelConfig& config = context.config;
    const LayerScratch& s = context.scratch;

    ops.rms_norm(x, norm_, config.norm_eps, s.h);
    context.linear(s.h,
                   std::array{Projection{wq_, s.q}, Projection{wk_, s.k}, Projection{wv_, s.v}});
    ops.rms_norm(s.q, q_norm_, config.norm_eps, s.q);
    ops.rms_norm(s.k, k_norm_, config.norm_eps, s.k);
    ops.rope(s.q, context.angles, config.head_dim, config.rope_layout);
    ops.rope(s.k, context.angles, config.head_dim, config.rope_layout);
    context.attend(layer_, s.q, s.k, s.v, config.sliding_window, s.o);
    context.linear(s.o.out, {wo_, s.h});
    ops.add(s.h, x);

    mlp_.forward(context, x);
  }

 private:
  std::size_t layer_;
  Weight norm_;             // [hidden]
  Weight wq_, wk_, wv_;     // [Hq * D, hidden], [Hkv * D, hidden], [Hkv * D, hidden]
  Weight q_norm_, k_norm_;  // [D] each
  Weight wo_;               // [hidden, Hq * D]
  GatedMlp mlp_;
};

}  // namespace

const Family kQwen3 = {.name = "qwen3", .load = load_layer<Qwen3Layer>};

}  // namespace varve
