// A model as it lies on disk: a GGUF file, or a directory as Hugging Face lays it out.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/model/model_config.h"
#include "common/model/tensor_file.h"

namespace varve {

class GgufMetadata;

enum class ModelSource : std::uint8_t { kGguf, kHuggingFace };

/// Headers are read, tensors are mapped. Immutable once opened.
struct ModelFiles {
  std::unique_ptr<TensorFile> tensors;
  /// `family` is what the file says ("general.architecture", "model_type").
  ModelConfig config;
  ModelSource source = ModelSource::kGguf;
  const GgufMetadata* gguf = nullptr;    // part of `tensors`; nullptr for Hugging Face
  std::filesystem::path path;            // as given
  std::filesystem::path directory;       // that holds the files
  std::filesystem::path tokenizer_path;  // the GGUF file itself, or tokenizer.json (may be missing)
};

/// Throws if a family is none that the caller computes.
using FamilyCheck = std::function<void(const std::string& family)>;

/// `path` is a .gguf file, or a directory with config.json and safetensors. IoError: path, key or
/// byte, what is wrong, what would be right; all problems with hyperparameters in one report.
/// `check_family` is called before any of them is read: of a model of another kind, it alone
/// matters.
ModelFiles open_model(const std::filesystem::path& path, const FamilyCheck& check_family = {});

/// How Q and K rows lie in the files of a family: converters to GGUF permute those of the llama
/// architecture (which covers Mistral) into interleaved pairs; everything else keeps the halves of
/// the original.
RopeLayout rope_layout_of(ModelSource source, std::string_view family);

/// SHA-256, for run.json, of what decides a model's answers. A GGUF file: its bytes. A directory:
/// the lines "NAME SHA256\n", sorted by name, of config.json, tokenizer.json and *.safetensors.
/// Reads everything: about a second per GB.
std::string content_hash(const std::filesystem::path& path);

}  // namespace varve
