// Weights as Hugging Face writes them: one safetensors file, or shards with an index.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/io/mapped_file.h"
#include "common/model/tensor_file.h"
#include "common/model/tensor_index.h"

namespace varve {

/// Headers are read and checked when the files are opened. Tensors of a type that varve does not
/// compute with (integers, F64, F8) may stand in the file: they are not among tensors(), and find()
/// throws an IoError that names the type.
class SafetensorsFile final : public TensorFile {
 public:
  static std::unique_ptr<SafetensorsFile> open(const std::filesystem::path& file);
  /// "model.safetensors.index.json": a weight_map from tensor to shard, a file beside it. Each
  /// shard must hold what the index says; no tensor may stand in two shards.
  static std::unique_ptr<SafetensorsFile> open_index(const std::filesystem::path& index);
  /// One file from memory, which must outlive this. `path` is for messages.
  static std::unique_ptr<SafetensorsFile> from_bytes(std::span<const std::byte> bytes,
                                                     std::string path);

  const std::vector<TensorEntry>& tensors() const override { return index_.entries(); }
  const TensorEntry* find(std::string_view name) const override;
  void release(const TensorEntry& tensor) const override;
  void check_unchanged(const TensorEntry& tensor) const override;
  std::string describe(std::string_view name) const override;

 private:
  explicit SafetensorsFile(std::string path) : path_(std::move(path)) {}
  void add_shard(std::span<const std::byte> bytes, const std::string& path);
  void add_shard(const std::filesystem::path& path);
  void finish();

  std::string path_;  // the file, or the index
  std::vector<MappedFile> mappings_;
  std::vector<TensorEntry> collected_;  // until finish()
  TensorIndex index_;
  std::map<std::string, std::string, std::less<>> shard_of_;     // tensor -> path
  std::map<std::string, std::string, std::less<>> unsupported_;  // tensor -> type
};

}  // namespace varve
