// Hyperparameters out of a Hugging Face config.json.
#pragma once

#include <filesystem>
#include <string>

#include "common/model/model_config.h"
#include "common/model/model_files.h"
#include "common/model/tensor_file.h"

namespace varve {

/// Keys and defaults as in transformers, old ("rope_scaling") and new ("rope_parameters").
/// `tensors` decides whether embeddings are tied where the file does not say. IoError lists all
/// problems.
ModelConfig read_hf_config(const std::filesystem::path& path, const TensorFile& tensors,
                           const FamilyCheck& check_family = {});

/// The same from text. `path` is for messages.
ModelConfig parse_hf_config(std::string_view text, const std::string& path,
                            const TensorFile& tensors, const FamilyCheck& check_family = {});

}  // namespace varve
