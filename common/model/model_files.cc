#include "common/model/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/io/sha256.h"
#include "common/model/gguf.h"
#include "common/model/gguf_config.h"
#include "common/model/hf_config.h"
#include "common/model/safetensors.h"

namespace varve {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Sorted by name.
std::vector<fs::path> files_with(const fs::path& directory, const std::string& extension) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == extension) found.push_back(it->path());
  }
  if (error)
    throw IoError(fmt::format("{}: cannot be listed: {}", directory.string(), error.message()));
  std::ranges::sort(found);
  return found;
}

// "dir" of "dir/" and of "." alike.
std::string name_of(const fs::path& directory) {
  const fs::path full = fs::absolute(directory).lexically_normal();
  return (full.has_filename() ? full : full.parent_path()).filename().string();
}

// What the directory may hold instead of what was looked for.
std::string hint(const fs::path& directory) {
  for (const char* extension : {".gguf", ".bin", ".pth"}) {
    const auto found = files_with(directory, extension);
    if (found.empty()) continue;
    const std::string name = found.front().filename().string();
    return std::string_view(extension) == ".gguf"
               ? fmt::format(" (it has {}: name that file itself)", name)
               : fmt::format(" (it has {}: convert the weights to safetensors)", name);
  }
  return "";
}

// The order is that of transformers: the single file wins.
std::unique_ptr<TensorFile> open_weights(const fs::path& directory) {
  if (is_there(directory / kSingle)) return SafetensorsFile::open(directory / kSingle);
  if (is_there(directory / kIndex)) return SafetensorsFile::open_index(directory / kIndex);
  throw IoError(fmt::format("{}: has neither {} nor {}{}", directory.string(), kSingle, kIndex,
                            hint(directory)));
}

ModelFiles open_hugging_face(const fs::path& directory, const FamilyCheck& check_family) {
  if (!is_there(directory / kConfig)) {
    throw IoError(fmt::format("{}: has no {}; a model's directory has one{}", directory.string(),
                              kConfig, hint(directory)));
  }
  ModelFiles files;
  files.source = ModelSource::kHuggingFace;
  files.tensors = open_weights(directory);
  files.config = read_hf_config(directory / kConfig, *files.tensors, check_family);
  files.config.name = name_of(directory);
  files.directory = directory;
  files.tokenizer_path = directory / kTokenizer;
  return files;
}

ModelFiles open_gguf(const fs::path& path, const FamilyCheck& check_family) {
  if (path.extension() == ".safetensors") {
    throw IoError(fmt::format("{}: is a file of weights; the directory with its {} would be right",
                              path.string(), kConfig));
  }
  auto file = GgufFile::open(path);
  ModelFiles files;
  files.source = ModelSource::kGguf;
  files.config = read_gguf_config(*file, path.stem().string(), check_family);
  files.gguf = &file->metadata();
  files.tensors = std::move(file);
  files.directory = path.parent_path();
  files.tokenizer_path = path;
  return files;
}

}  // namespace

ModelFiles open_model(const fs::path& path, const FamilyCheck& check_family) {
  ModelFiles files =
      is_folder(path) ? open_hugging_face(path, check_family) : open_gguf(path, check_family);
  files.path = path;
  return files;
}

RopeLayout rope_layout_of(ModelSource source, std::string_view family) {
  const bool permuted = source == ModelSource::kGguf && family == "llama";
  return permuted ? RopeLayout::kInterleaved : RopeLayout::kHalves;
}

std::string content_hash(const fs::path& path) {
  if (!is_folder(path)) return sha256_hex(path);
  std::vector<fs::path> files = files_with(path, ".safetensors");
  for (const char* name : {kConfig, kTokenizer}) {
    if (is_there(path / name)) files.push_back(path / name);
  }
  std::ranges::sort(files);
  std::string lines;
  for (const fs::path& file : files) {
    lines += fmt::format("{} {}\n", file.filename().string(), sha256_hex(file));
  }
  return sha256_hex(std::as_bytes(std::span(lines)));
}

}  // namespace varve
