// The tensors of a model by role. Roles are the names that GGUF gives them; Hugging Face's are
// translated here, so a family names each tensor once.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "common/model/model_files.h"
#include "kernels/ops.h"

namespace varve {

/// Reads weights of one layer, or of the model itself (layer absent), from an open model. Keeps
/// count of what was asked for: `expect_all_used` refuses a layer that holds a tensor which its
/// family does not know, because ignoring it would give wrong answers silently. Pages of the file
/// are given back as soon as the backend has copied them, so loading holds one tensor twice at
/// most.
class LayerTensors {
 public:
  LayerTensors(const ModelFiles& files, Ops& ops, std::optional<std::size_t> layer);

  bool has(std::string_view role) const;
  /// A weight [rows, cols] in its stored format. IoError names file, tensor and both shapes.
  Weight matrix(std::string_view role, std::size_t rows, std::size_t cols);
  /// A vector [size] as float32: norms and biases.
  Weight vector(std::string_view role, std::size_t size);
  void expect_all_used(std::string_view family) const;
  /// Of what was read so far, as the backend holds it.
  std::size_t bytes() const { return bytes_; }

 private:
  std::string name_of(std::string_view role) const;
  const TensorEntry& find(std::string_view role, std::span<const std::size_t> shape);

  const ModelFiles& files_;
  Ops& ops_;
  std::optional<std::size_t> layer_;
  std::set<std::string> used_;
  std::size_t bytes_ = 0;
};

/// The part of a tensor's name that all tensors of a layer share: "blk.3." or "model.layers.3.".
std::string layer_prefix(ModelSource source, std::size_t layer);
/// A tensor of the model itself: "token_embd.weight", "output_norm.weight", "output.weight".
std::string model_tensor_name(ModelSource source, std::string_view role);

}  // namespace varve
