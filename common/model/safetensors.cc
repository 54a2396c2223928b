#include "common/model/safetensors.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/regular_file.h"
#include "common/io/strict_json.h"
#include "common/model/safetensors_header.h"

namespace varve {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kMaxIndex = 100'000'000;
constexpr std::size_t kMaxIndexDepth = 8;

// tensor -> file name of its shard.
using WeightMap = std::map<std::string, std::string, std::less<>>;

// A file beside the index and nothing else: an index must not reach other folders.
bool is_shard_name(std::string_view name) {
  constexpr std::string_view kSuffix = ".safetensors";
  return name.size() > kSuffix.size() && name.ends_with(kSuffix) &&
         name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

WeightMap read_weight_map(const fs::path& path) {
  const std::string where = path.string();
  const json index = parse_strict_json(read_text_file(path, kMaxIndex), where, kMaxIndexDepth);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    throw IoError(fmt::format("{}: has no 'weight_map' from tensors to shards", where));
  }
  WeightMap shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || !is_shard_name(shard.get_ref<const std::string&>())) {
      throw IoError(fmt::format(
          "{}: weight_map: tensor {} is in shard {}; the name of a "
          ".safetensors file in the same folder would be right",
          where, in_quotes(tensor),
          shard.is_string() ? in_quotes(shard.get_ref<const std::string&>()) : shard.type_name()));
    }
    shards.emplace(tensor, shard.get<std::string>());
  }
  return shards;
}

}  // namespace

void SafetensorsFile::add_shard(std::span<const std::byte> bytes, const std::string& path) {
  for (SafetensorsEntry& entry : read_safetensors_header(bytes, path)) {
    const auto [first, is_new] = shard_of_.emplace(entry.name, path);
    if (!is_new) {
      throw IoError(fmt::format("{}: tensor {} stands in {} as well; once would be right", path,
                                in_quotes(entry.name), first->second));
    }
    if (!entry.dtype) {
      unsupported_.emplace(std::move(entry.name), std::move(entry.type));
      continue;
    }
    collected_.push_back({.name = std::move(entry.name),
                          .dtype = *entry.dtype,
                          .shape = std::move(entry.shape),
                          .data = entry.data.data(),
                          .bytes = entry.data.size()});
  }
}

void SafetensorsFile::add_shard(const fs::path& path) {
  mappings_.emplace_back(path);
  add_shard(mappings_.back().bytes(), path.string());
}

void SafetensorsFile::finish() {
  index_ = TensorIndex(std::exchange(collected_, {}));
}

std::unique_ptr<SafetensorsFile> SafetensorsFile::open(const fs::path& file) {
  std::unique_ptr<SafetensorsFile> opened(new SafetensorsFile(file.string()));
  opened->add_shard(file);
  opened->finish();
  return opened;
}

std::unique_ptr<SafetensorsFile> SafetensorsFile::open_index(const fs::path& index) {
  const WeightMap weight_map = read_weight_map(index);
  std::unique_ptr<SafetensorsFile> opened(new SafetensorsFile(index.string()));
  std::map<std::string, fs::path> shards;
  for (const auto& [tensor, shard] : weight_map) shards[shard] = index.parent_path() / shard;
  for (const auto& [name, path] : shards) opened->add_shard(path);
  for (const auto& [tensor, shard] : weight_map) {
    const auto found = opened->shard_of_.find(tensor);
    if (found == opened->shard_of_.end() || found->second != shards[shard].string()) {
      throw IoError(fmt::format("{}: weight_map: tensor {} is not in shard {}", index.string(),
                                in_quotes(tensor), in_quotes(shard)));
    }
  }
  opened->finish();
  return opened;
}

std::unique_ptr<SafetensorsFile> SafetensorsFile::from_bytes(std::span<const std::byte> bytes,
                                                             std::string path) {
  std::unique_ptr<SafetensorsFile> opened(new SafetensorsFile(std::move(path)));
  opened->add_shard(bytes, opened->path_);
  opened->finish();
  return opened;
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  if (const auto found = unsupported_.find(name); found != unsupported_.end()) {
    throw IoError(
        fmt::format("{}: tensor {} has type {}, which is not supported; F32, F16 or BF16 "
                    "would be right",
                    describe(name), in_quotes(name), found->second));
  }
  return index_.find(name);
}

void SafetensorsFile::check_unchanged(const TensorEntry& tensor) const {
  for (const MappedFile& mapping : mappings_) {
    if (mapping.holds(tensor.data)) mapping.check_unchanged();
  }
}

void SafetensorsFile::release(const TensorEntry& tensor) const {
  for (const MappedFile& mapping : mappings_) {
    if (!mapping.holds(tensor.data)) continue;
    mapping.advise(MappedFile::Access::kDontNeed,
                   {static_cast<const std::byte*>(tensor.data), tensor.bytes});
  }
}

std::string SafetensorsFile::describe(std::string_view name) const {
  const auto found = shard_of_.find(name);
  return found == shard_of_.end() ? path_ : found->second;
}

}  // namespace varve
