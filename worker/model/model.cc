#include "worker/model/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/error.h"

namespace varve {
namespace {

std::size_t bytes_of(const ModelFiles& files, std::string_view role, WeightForm form) {
  const TensorEntry* entry = files.tensors->find(model_tensor_name(files.source, role));
  return entry == nullptr ? 0 : bytes_in(form, *entry);
}

std::size_t layer_bytes(const ModelFiles& files, std::size_t layer, WeightForm form) {
  const std::string prefix = layer_prefix(files.source, layer);
  std::size_t bytes = 0;
  for (const TensorEntry& entry : files.tensors->tensors()) {
    if (entry.name.starts_with(prefix)) bytes += bytes_in(form, entry);
  }
  return bytes;
}

void check_layers(const Model& model) {
  const std::vector<std::size_t> bytes = weight_bytes(model).layer;
  const auto empty = std::find(bytes.begin(), bytes.end(), 0U);
  if (empty == bytes.end()) return;
  const auto layer = static_cast<std::size_t>(empty - bytes.begin());
  const std::string prefix = layer_prefix(model.files.source, layer);
  throw IoError(fmt::format("{}: layer {} of {} has no tensors; their names would start with '{}'",
                            model.files.tensors->describe(prefix), layer, bytes.size(), prefix));
}

}  // namespace

Model load_model_header(const std::string& path) {
  Model model;
  model.files =
      open_model(path, [&](const std::string& name) { model.family = &find_family(name, path); });
  check_layers(model);
  return model;
}

WeightBytes weight_bytes(const Model& model, WeightForm form) {
  const ModelFiles& files = model.files;
  WeightBytes bytes;
  bytes.embedding = bytes_of(files, "token_embd.weight", form);
  bytes.final_norm = bytes_of(files, "output_norm.weight", form);
  if (!files.config.tied_embeddings) bytes.head = bytes_of(files, "output.weight", form);
  for (std::size_t layer = 0; layer < files.config.layers; ++layer) {
    bytes.layer.push_back(layer_bytes(files, layer, form));
  }
  return bytes;
}

}  // namespace varve
