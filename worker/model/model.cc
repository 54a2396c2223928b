#include "worker/model/model.h"

#include <fmt/format.h>

#include "common/error.h"

namespace varve {
namespace {

std::size_t bytes_of(const ModelFiles& files, std::string_view role) {
  const TensorEntry* entry = files.tensors->find(model_tensor_name(files.source, role));
  return entry == nullptr ? 0 : entry->bytes;
}

WeightBytes weigh(const ModelFiles& files) {
  WeightBytes bytes;
  bytes.embedding = bytes_of(files, "token_embd.weight");
  bytes.final_norm = bytes_of(files, "output_norm.weight");
  if (!files.config.tied_embeddings) bytes.head = bytes_of(files, "output.weight");
  bytes.layer.resize(files.config.layers);
  for (std::size_t layer = 0; layer < files.config.layers; ++layer) {
    const std::string prefix = layer_prefix(files.source, layer);
    for (const TensorEntry& entry : files.tensors->tensors()) {
      if (entry.name.starts_with(prefix)) bytes.layer[layer] += entry.bytes;
    }
    if (bytes.layer[layer] == 0) {
      throw IoError(
          fmt::format("{}: layer {} of {} has no tensors; their names would start with '{}'",
                      files.tensors->describe(prefix), layer, files.config.layers, prefix));
    }
  }
  return bytes;
}

}  // namespace

Model load_model_header(const std::string& path) {
  Model model;
  model.files =
      open_model(path, [&](const std::string& name) { model.family = &find_family(name, path); });
  model.bytes = weigh(model.files);
  return model;
}

}  // namespace varve
