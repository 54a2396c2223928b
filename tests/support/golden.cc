#include "tests/support/golden.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/error.h"

namespace varve {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

constexpr std::size_t kMaxHeader = std::size_t{1} << 20;

std::size_t element_bytes(std::string_view type) {
  if (type == "F32" || type == "I32") return 4;
  return type == "U8" ? 1 : 0;
}

std::string read_exactly(std::ifstream& file, std::size_t bytes, const std::string& path,
                         std::string_view what) {
  std::string text(bytes, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(bytes))) {
    throw IoError(fmt::format("{}: ends within its {}", path, what));
  }
  return text;
}

std::string read_header_text(std::ifstream& file, const std::string& path) {
  const std::string prefix = read_exactly(file, 8, path, "length of the header");
  std::uint64_t length = 0;
  std::memcpy(&length, prefix.data(), sizeof length);
  if (length > kMaxHeader) {
    throw IoError(fmt::format("{}: header of {} bytes; is this a safetensors file?", path, length));
  }
  return read_exactly(file, length, path, "header");
}

}  // namespace

std::filesystem::path golden_folder() {
  return std::filesystem::path(VARVE_SOURCE_DIR) / "tests/golden";
}

Golden Golden::load(const std::filesystem::path& path) {
  Golden golden(path.string());
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw IoError(fmt::format("{}: cannot be opened", golden.path_));
  const auto size = static_cast<std::size_t>(file.tellg());
  file.seekg(0);
  const std::string header = read_header_text(file, golden.path_);
  golden.data_.resize(size - 8 - header.size());
  file.read(reinterpret_cast<char*>(golden.data_.data()),
            static_cast<std::streamsize>(golden.data_.size()));
  if (!file) throw IoError(fmt::format("{}: cannot be read", golden.path_));
  try {
    golden.read_header(header);
  } catch (const nlohmann::json::exception& error) {
    throw IoError(fmt::format("{}: header: {}", golden.path_, error.what()));
  }
  return golden;
}

void Golden::read_header(std::string_view json) {
  const auto header = nlohmann::json::parse(json);
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    Tensor tensor{.type = entry.at("dtype"), .shape = entry.at("shape"), .count = 1};
    const std::size_t size = element_bytes(tensor.type);
    if (size == 0) {
      throw IoError(fmt::format("{}: tensor '{}' is {}; golden data is F32, I32 or U8", path_, name,
                                tensor.type));
    }
    for (const std::size_t dimension : tensor.shape) tensor.count *= dimension;
    tensor.begin = entry.at("data_offsets").at(0);
    const std::size_t end = entry.at("data_offsets").at(1);
    if (tensor.begin > end || end > data_.size() || end - tensor.begin != tensor.count * size) {
      throw IoError(fmt::format("{}: tensor '{}' spans bytes [{}, {}) of {}, but has {} elements",
                                path_, name, tensor.begin, end, data_.size(), tensor.count));
    }
    if (tensor.begin % size != 0) {
      throw IoError(
          fmt::format("{}: tensor '{}' begins at byte {}; a multiple of {} would be right", path_,
                      name, tensor.begin, size));
    }
    tensors_.emplace(name, std::move(tensor));
  }
}

const Golden::Tensor& Golden::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  std::string names;
  for (const auto& [known, tensor] : tensors_) names += (names.empty() ? "" : ", ") + known;
  throw IoError(fmt::format("{}: has no tensor '{}'; it has {}", path_, name, names));
}

const std::byte* Golden::typed(const Tensor& tensor, std::string_view name,
                               std::string_view type) const {
  if (tensor.type != type) {
    throw IoError(fmt::format("{}: tensor '{}' is {}, not {}", path_, name, tensor.type, type));
  }
  return data_.data() + tensor.begin;
}

}  // namespace varve
