#include "tests/support/first_layers.h"

#include <charconv>
#include <stdexcept>

#include "common/model/gguf.h"
#include "tests/support/gguf_writer.h"

namespace varve {
namespace {

// Not ByteBuffer::put, inlined: GCC 12 then takes its vector for a full one.
template <class T>
void put_number(T number, ByteBuffer& out) {
  out.put_bytes(std::as_bytes(std::span(&number, 1)));
}

void put_scalar(const GgufValue& value, ByteBuffer& out) {
  const auto integer = [&]<class T>(T) {
    std::visit(
        [&](const auto& v) {
          if constexpr (std::is_arithmetic_v<std::decay_t<decltype(v)>>) {
            put_number(static_cast<T>(v), out);
          }
        },
        value.data);
  };
  switch (value.type) {
    case GgufType::kU8:
    case GgufType::kBool:
      return integer(std::uint8_t{});
    case GgufType::kI8:
      return integer(std::int8_t{});
    case GgufType::kU16:
      return integer(std::uint16_t{});
    case GgufType::kI16:
      return integer(std::int16_t{});
    case GgufType::kU32:
      return integer(std::uint32_t{});
    case GgufType::kI32:
      return integer(std::int32_t{});
    case GgufType::kU64:
      return integer(std::uint64_t{});
    case GgufType::kI64:
      return integer(std::int64_t{});
    case GgufType::kF32:
      return integer(float{});
    case GgufType::kF64:
      return integer(double{});
    default:
      throw std::runtime_error("not a number");
  }
}

// As it lies in the file, behind its type.
ByteBuffer raw_of(const GgufValue& value) {
  ByteBuffer out;
  if (const auto* text = std::get_if<std::string_view>(&value.data)) {
    out.put_string(*text);
  } else if (const auto* array = std::get_if<GgufArray>(&value.data)) {
    put_number(static_cast<std::uint32_t>(array->element), out);
    put_number(array->count, out);
    out.put_bytes(array->raw);
    for (const std::string_view text_of : array->strings) out.put_string(text_of);
  } else {
    put_scalar(value, out);
  }
  return out;
}

// -1: a tensor of the model itself.
int layer_of(std::string_view name) {
  if (!name.starts_with("blk.")) return -1;
  int layer = -1;
  std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return layer;
}

}  // namespace

void write_first_layers(const std::filesystem::path& from, const std::filesystem::path& to,
                        std::uint32_t layers) {
  const auto file = GgufFile::open(from);
  GgufWriter writer;
  for (const GgufMetadata::Entry& entry : file->metadata().entries()) {
    if (entry.key.ends_with(".block_count")) {
      writer.set(entry.key, layers);
    } else {
      writer.set_raw(entry.key, static_cast<std::uint32_t>(entry.value.type),
                     raw_of(entry.value).bytes());
    }
  }
  for (const TensorEntry& tensor : file->tensors()) {
    if (layer_of(tensor.name) >= static_cast<int>(layers)) continue;
    const auto* begin = static_cast<const std::byte*>(tensor.data);
    writer.tensor(tensor.name, tensor.shape, tensor.dtype, {begin, begin + tensor.bytes});
  }
  writer.write(to);
}

}  // namespace varve
