// A GGUF file is read and checked, or refused with an IoError; whatever else happens is a finding.
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/error.h"
#include "common/model/gguf.h"
#include "common/model/gguf_config.h"

namespace varve {
namespace {

// Reads what the views promise, so that the sanitizer sees where they point. The result keeps the
// compiler from leaving the reads out.
std::size_t touch(std::span<const std::byte> bytes) {
  std::size_t sum = 0;
  for (const std::byte byte : bytes) sum += static_cast<std::size_t>(byte);
  return sum;
}

std::size_t touch(const GgufMetadata& metadata) {
  std::size_t sum = 0;
  for (const auto& [key, value] : metadata.entries()) {
    sum += describe(value).size() + as_u64(value).value_or(0);
    sum += as_f64(value).has_value() + as_bool(value).has_value();
    if (const auto s = as_string(value)) sum += touch(std::as_bytes(std::span(*s)));
    if (const auto i = as_i64s(value)) sum += i->size();
    if (const auto f = as_f32s(value)) sum += f->size();
    if (const auto* array = std::get_if<GgufArray>(&value.data)) {
      for (const std::string_view s : array->strings) sum += touch(std::as_bytes(std::span(s)));
    }
  }
  return sum;
}

void read(std::span<const std::byte> bytes) {
  const auto file = GgufFile::from_bytes(bytes, "input");
  volatile std::size_t sum = touch(file->metadata());
  for (const TensorEntry& entry : file->tensors()) {
    sum = sum + touch({static_cast<const std::byte*>(entry.data), entry.bytes});
    if (file->find(entry.name) != &entry) throw std::logic_error("find() disagrees");
  }
  read_gguf_config(*file, "input");
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    varve::read(std::as_bytes(std::span(data, size)));
  } catch (const varve::IoError&) {
  }
  return 0;
}
