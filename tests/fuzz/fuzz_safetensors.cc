// A safetensors file, or (if it begins with a brace) a config.json, is read and checked, or refused
// with an IoError; whatever else happens is a finding.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/error.h"
#include "common/model/hf_config.h"
#include "common/model/safetensors.h"

namespace varve {
namespace {

void read(std::span<const std::byte> bytes) {
  const auto file = SafetensorsFile::from_bytes(bytes, "input");
  volatile std::size_t sum = 0;
  for (const TensorEntry& entry : file->tensors()) {
    // Reads what the view promises, so that the sanitizer sees where it points.
    for (const std::byte byte : std::span(static_cast<const std::byte*>(entry.data), entry.bytes)) {
      sum = sum + static_cast<std::size_t>(byte);
    }
    if (file->find(entry.name) != &entry) throw std::logic_error("find() disagrees");
  }
}

void read_config(std::string_view text) {
  constexpr std::string_view kEmpty("\2\0\0\0\0\0\0\0{}", 10);
  const auto no_tensors = SafetensorsFile::from_bytes(std::as_bytes(std::span(kEmpty)), "empty");
  parse_hf_config(text, "input", *no_tensors);
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    if (text.starts_with('{')) {
      varve::read_config(text);
    } else {
      varve::read(std::as_bytes(std::span(data, size)));
    }
  } catch (const varve::IoError&) {
  }
  return 0;
}
