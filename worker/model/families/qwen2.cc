// Qwen2 and Qwen2.5 (arXiv 2407.10671): Llama with biases on the query, key and value projections.
#include <array>

#include "worker/model/family.h"

namespace varve {
namespace {

class Qwen2Layer : public DecoderLayer {
 public:
  Qwen2Layer(std::size_t layer, const ModelConfig& c, LayerTensors& t)
      : layer_(layer),
        norm_(t.vector("attn_norm.weight", c.hidden)),
        wq_(t.matrix("attn_q.weight", c.q_width(), c.hidden)),
        wk_(t.matrix("attn_k.weight", c.kv_width(), c.hidden)),
        wv_(t.matrix("attn_v.weight", c.kv_width(), c.hidden)),
        bq_(t.vector("attn_q.bias", c.q_width())),
        bk_(t.vector("attn_k.bias", c.kv_width())),
        bv_(t.vector("attn_v.bias", c.kv_width())),
        wo_(t.matrix("attn_output.weight", c.hidden, c.q_width())),
        mlp_(GatedMlp::load(c, t)) {}

  void forward(const LayerContext& context, Matrix x) const override {
    Ops& ops = context.ops;
    const ModelConfig& config = context.config;
    const LayerScratch& s = context.scratch;

    ops.rms_norm(x, norm_, config.norm_eps, s.h);
    context.linear(s.h, std::array{Projection{wq_, s.q, &bq_}, Projection{wk_, s.k, &bk_},
                                   Projection{wv_, s.v, &bv_}});
    ops.rope(s.q, context.angles, config.head_dim, config.rope_layout);
    ops.rope(s.k, context.angles, config.head_dim, config.rope_layout);
    context.attend(layer_, s.q, s.k, s.v, config.sliding_window, s.o);
    context.linear(s.o.out, {wo_, s.h});
    ops.add(s.h, x);

    mlp_.forward(context, x);
  }

 private:
  std::size_t layer_;
  Weight norm_;          // [hidden]
  Weight wq_, wk_, wv_;  // [Hq * D, hidden], [Hkv * D, hidden], [Hkv * D, hidden]
  Weight bq_, bk_, bv_;  // [Hq * D], [Hkv * D], [Hkv * D]
  Weight wo_;            // [hidden, Hq * D]
  GatedMlp mlp_;
};

}  // namespace

const Family kQwen2 = {.name = "qwen2", .load = load_layer<Qwen2Layer>};

}  // namespace varve
