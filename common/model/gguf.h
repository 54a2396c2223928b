// GGUF version 2 and 3, little-endian (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
// Layout: magic, version, counts, metadata, tensor infos, padding to the alignment, tensor data.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/io/mapped_file.h"
#include "common/model/gguf_metadata.h"
#include "common/model/tensor_file.h"
#include "common/model/tensor_index.h"

namespace varve {

/// The header is read and checked when the file is opened: every offset and size lies in the file,
/// no two tensors overlap, every type is one that varve computes with. So views may be used without
/// further checks. Gaps between tensors, any order of them, and a file without tensors (a
/// vocabulary) are allowed.
class GgufFile final : public TensorFile {
 public:
  /// IoError: path, byte offset, what is wrong, what would be right.
  static std::unique_ptr<GgufFile> open(const std::filesystem::path& path);
  /// The same from memory, which must outlive the file. `path` is for messages.
  static std::unique_ptr<GgufFile> from_bytes(std::span<const std::byte> bytes, std::string path);

  const std::vector<TensorEntry>& tensors() const override { return index_.entries(); }
  const TensorEntry* find(std::string_view name) const override { return index_.find(name); }
  void release(const TensorEntry& tensor) const override;
  void check_unchanged(const TensorEntry& tensor) const override;
  std::string describe(std::string_view name) const override;

  const GgufMetadata& metadata() const { return metadata_; }

 private:
  GgufFile(std::optional<MappedFile> mapping, std::span<const std::byte> bytes, std::string path);

  std::optional<MappedFile> mapping_;
  std::string path_;
  GgufMetadata metadata_;
  TensorIndex index_;
};

}  // namespace varve
