#include "worker/model/layer_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "common/error.h"
#include "common/in_quotes.h"

namespace varve {
namespace {

struct RoleName {
  std::string_view role;          // in GGUF, behind "blk.N."
  std::string_view hugging_face;  // behind "model.layers.N."
};

constexpr std::array kLayerRoles = {
    RoleName{"attn_norm.weight", "input_layernorm.weight"},
    RoleName{"attn_q.weight", "self_attn.q_proj.weight"},
    RoleName{"attn_q.bias", "self_attn.q_proj.bias"},
    RoleName{"attn_k.weight", "self_attn.k_proj.weight"},
    RoleName{"attn_k.bias", "self_attn.k_proj.bias"},
    RoleName{"attn_v.weight", "self_attn.v_proj.weight"},
    RoleName{"attn_v.bias", "self_attn.v_proj.bias"},
    RoleName{"attn_q_norm.weight", "self_attn.q_norm.weight"},
    RoleName{"attn_k_norm.weight", "self_attn.k_norm.weight"},
    RoleName{"attn_output.weight", "self_attn.o_proj.weight"},
    RoleName{"ffn_norm.weight", "post_attention_layernorm.weight"},
    RoleName{"ffn_gate.weight", "mlp.gate_proj.weight"},
    RoleName{"ffn_up.weight", "mlp.up_proj.weight"},
    RoleName{"ffn_down.weight", "mlp.down_proj.weight"},
};

constexpr std::array kModelRoles = {
    RoleName{"token_embd.weight", "model.embed_tokens.weight"},
    RoleName{"output_norm.weight", "model.norm.weight"},
    RoleName{"output.weight", "lm_head.weight"},
};

template <std::size_t N>
std::string_view translate(const std::array<RoleName, N>& table, ModelSource source,
                           std::string_view role) {
  for (const RoleName& name : table) {
    if (name.role == role) return source == ModelSource::kGguf ? name.role : name.hugging_face;
  }
  VARVE_CHECK(false, "no tensor has the role {}", role);
}

// Written by old exporters; derived from the configuration, so there is nothing to read.
bool is_derived(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq");
}

}  // namespace

std::string layer_prefix(ModelSource source, std::size_t layer) {
  return source == ModelSource::kGguf ? fmt::format("blk.{}.", layer)
                                      : fmt::format("model.layers.{}.", layer);
}

std::string model_tensor_name(ModelSource source, std::string_view role) {
  return std::string(translate(kModelRoles, source, role));
}

LayerTensors::LayerTensors(const ModelFiles& files, Ops& ops, std::optional<std::size_t> layer)
    : files_(files), ops_(ops), layer_(layer) {}

std::string LayerTensors::name_of(std::string_view role) const {
  if (!layer_) return model_tensor_name(files_.source, role);
  return layer_prefix(files_.source, *layer_) +
         std::string(translate(kLayerRoles, files_.source, role));
}

bool LayerTensors::has(std::string_view role) const {
  return files_.tensors->find(name_of(role)) != nullptr;
}

const TensorEntry& LayerTensors::find(std::string_view role, std::span<const std::size_t> shape) {
  const std::string name = name_of(role);
  const TensorEntry* entry = files_.tensors->find(name);
  if (entry == nullptr) {
    throw IoError(fmt::format("{}: tensor '{}' is missing; a {} model has one of shape [{}]",
                              files_.tensors->describe(name), name, files_.config.family,
                              fmt::join(shape, ", ")));
  }
  if (!std::equal(shape.begin(), shape.end(), entry->shape.begin(), entry->shape.end())) {
    throw IoError(fmt::format("{}: tensor '{}' has shape [{}], the configuration asks for [{}]",
                              files_.tensors->describe(name), name, fmt::join(entry->shape, ", "),
                              fmt::join(shape, ", ")));
  }
  files_.tensors->check_unchanged(*entry);
  if (used_.insert(name).second) bytes_ += bytes_in(ops_.weight_form(), *entry);
  return *entry;
}

Weight LayerTensors::matrix(std::string_view role, std::size_t rows, std::size_t cols) {
  const TensorEntry& entry = find(role, std::array{rows, cols});
  Weight weight = ops_.prepare({entry.data, entry.dtype, rows, cols});
  // A backend that made a copy never looks at the file again: one copy in memory is enough.
  if (weight.storage.bytes() > 0) files_.tensors->release(entry);
  return weight;
}

Weight LayerTensors::vector(std::string_view role, std::size_t size) {
  const TensorEntry& entry = find(role, std::array{size});
  // Embedding row 0 of a one-row table is the backend's own way of decoding any format.
  const Weight stored = ops_.prepare({entry.data, entry.dtype, 1, size});
  Weight decoded;
  decoded.storage = ops_.allocate(size * sizeof(float));
  auto* data = decoded.storage.as<float>();
  ops_.embed(std::array{std::int32_t{0}}, stored, Matrix{data, 1, size, size});
  decoded.view = {data, DType::kF32, 1, size};
  files_.tensors->release(entry);
  return decoded;
}

void LayerTensors::expect_all_used(std::string_view family) const {
  VARVE_CHECK(layer_.has_value(), "only a layer's tensors can be listed");
  const std::string prefix = layer_prefix(files_.source, *layer_);
  for (const TensorEntry& entry : files_.tensors->tensors()) {
    if (!entry.name.starts_with(prefix) || used_.contains(entry.name) || is_derived(entry.name)) {
      continue;
    }
    throw IoError(fmt::format("{}: layer {} has a tensor {} that the family {} does not use",
                              files_.tensors->describe(entry.name), *layer_, in_quotes(entry.name),
                              family));
  }
}

}  // namespace varve
