#include "tests/support/safetensors_writer.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "tests/support/gguf_writer.h"

namespace varve {

SafetensorsWriter& SafetensorsWriter::tensor(std::string_view name, std::vector<std::size_t> shape,
                                             std::string_view type,
                                             std::span<const std::byte> data) {
  const std::size_t begin = data_.size();
  data_.insert(data_.end(), data.begin(), data.end());
  entries_.push_back({.name = std::string(name),
                      .type = std::string(type),
                      .shape = std::move(shape),
                      .begin = begin,
                      .end = data_.size()});
  return *this;
}

SafetensorsWriter& SafetensorsWriter::tensor(std::string_view name, std::vector<std::size_t> shape,
                                             std::span<const float> values, DType dtype) {
  std::size_t elements = 1;
  for (const std::size_t dim : shape) elements *= dim;
  if (elements != values.size()) throw std::logic_error("shape and values do not agree");
  const char* type = dtype == DType::kF32 ? "F32" : dtype == DType::kF16 ? "F16" : "BF16";
  return tensor(name, std::move(shape), type, encode_plain(dtype, values));
}

SafetensorsWriter& SafetensorsWriter::set(std::string_view key, std::string_view value) {
  metadata_.insert_or_assign(std::string(key), std::string(value));
  return *this;
}

std::string SafetensorsWriter::header() const {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_.empty()) header["__metadata__"] = metadata_;
  for (const Entry& entry : entries_) {
    header[entry.name] = {
        {"dtype", entry.type}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

std::vector<std::byte> SafetensorsWriter::bytes() const {
  return safetensors_bytes(header(), data_);
}

void SafetensorsWriter::write(const std::filesystem::path& path) const {
  write_file(path, bytes());
}

std::vector<std::byte> safetensors_bytes(std::string_view header, std::span<const std::byte> data) {
  ByteBuffer out;
  return out.put_string(header).put_bytes(data).bytes();
}

std::string safetensors_index(const std::map<std::string, std::string>& weight_map) {
  return nlohmann::json{{"metadata", nlohmann::json::object()}, {"weight_map", weight_map}}.dump();
}

}  // namespace varve
