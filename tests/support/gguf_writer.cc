#include "tests/support/gguf_writer.h"

#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>

namespace varve {
namespace {

// SplitMix64: the same on every machine, unlike the standard distributions.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

// In [0, 1).
float next_unit(std::uint64_t& state) {
  return static_cast<float>(next_random(state) >> 40) * 0x1p-24F;
}

// To nearest even, done with float arithmetic: adding and taking away a number whose last place is
// the wanted one rounds there.
std::uint16_t to_f16(float value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  if (magnitude >= 65520.0F) return sign | 0x7c00;
  const int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
  const auto units =
      static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // units is 1024 to 2048 for normal numbers; the carry to 2048 moves into the exponent by itself.
  const std::uint32_t biased =
      units < 1024 ? units : units + (static_cast<std::uint32_t>(exponent + 14) << 10);
  return static_cast<std::uint16_t>(sign | biased);
}

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Where a block keeps its f16 scale and its f16 minimum; npos where it has none.
struct ScalePlaces {
  std::size_t scale = std::string::npos;
  std::size_t minimum = std::string::npos;
};

ScalePlaces scale_places(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ5_0:
    case DType::kQ8_0:
      return {.scale = 0};
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {.scale = 0, .minimum = 2};
    case DType::kQ6_K:
      return {.scale = 208};
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2:
      break;
  }
  throw std::logic_error("a plain type has no blocks");
}

void put_f16(std::span<std::byte> block, std::size_t at, float value) {
  if (at == std::string::npos) return;
  const std::uint16_t half = to_f16(value);
  std::memcpy(block.subspan(at, sizeof(half)).data(), &half, sizeof(half));
}

}  // namespace

ByteBuffer& ByteBuffer::put_string(std::string_view text) {
  put(std::uint64_t{text.size()});
  return put_bytes(std::as_bytes(std::span(text)));
}

ByteBuffer& ByteBuffer::put_bytes(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

ByteBuffer& ByteBuffer::pad(std::size_t alignment) {
  bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  return *this;
}

std::vector<std::byte> encode_plain(DType dtype, std::span<const float> values) {
  ByteBuffer out;
  for (const float value : values) {
    if (dtype == DType::kF32) {
      out.put(value);
    } else if (dtype == DType::kF16) {
      out.put(to_f16(value));
    } else if (dtype == DType::kBF16) {
      out.put(to_bf16(value));
    } else {
      throw std::logic_error("only plain types are encoded from floats");
    }
  }
  return out.bytes();
}

std::vector<std::byte> random_blocks(DType dtype, std::size_t elements, std::uint64_t seed,
                                     float scale) {
  if (dtype_info(dtype).block_size == 1) {
    return encode_plain(dtype, random_values(elements, seed, scale));
  }
  std::vector<std::byte> bytes(row_bytes(dtype, elements));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(next_random(seed));
  const ScalePlaces places = scale_places(dtype);
  const std::size_t block_bytes = dtype_info(dtype).block_bytes;
  for (std::size_t at = 0; at < bytes.size(); at += block_bytes) {
    const auto block = std::span(bytes).subspan(at, block_bytes);
    put_f16(block, places.scale, scale * (0.5F + 0.5F * next_unit(seed)));
    put_f16(block, places.minimum, scale * (next_unit(seed) - 0.5F));
  }
  return bytes;
}

std::vector<float> random_values(std::size_t count, std::uint64_t seed, float magnitude) {
  std::vector<float> values(count);
  for (float& value : values) value = magnitude * (2 * next_unit(seed) - 1);
  return values;
}

std::uint32_t gguf_number(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kBF16:
      return 30;
    case DType::kQ4_0:
      return 2;
    case DType::kQ4_1:
      return 3;
    case DType::kQ5_0:
      return 6;
    case DType::kQ5_1:
      return 7;
    case DType::kQ8_0:
      return 8;
    case DType::kQ4_K:
      return 12;
    case DType::kQ5_K:
      return 13;
    case DType::kQ6_K:
      return 14;
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2:
      break;  // cached rows alone
  }
  throw std::logic_error("no such type");
}

ByteBuffer& GgufWriter::begin(std::string_view key, std::uint32_t type) {
  ++metadata_count_;
  return metadata_.put_string(key).put(type);
}

GgufWriter& GgufWriter::set(std::string_view key, std::string_view value) {
  begin(key, kString).put_string(value);
  return *this;
}

GgufWriter& GgufWriter::set(std::string_view key, const std::vector<std::string>& values) {
  ByteBuffer& out = begin(key, kArray);
  out.put(kString).put(std::uint64_t{values.size()});
  for (const std::string& value : values) out.put_string(value);
  return *this;
}

GgufWriter& GgufWriter::set_raw(std::string_view key, std::uint32_t type,
                                std::span<const std::byte> value) {
  begin(key, type).put_bytes(value);
  return *this;
}

GgufWriter& GgufWriter::tensor(std::string_view name, std::vector<std::size_t> shape, DType dtype,
                               std::vector<std::byte> data) {
  data_.pad(alignment_);
  infos_.push_back({.name = std::string(name),
                    .dims = {shape.rbegin(), shape.rend()},
                    .type = gguf_number(dtype),
                    .offset = data_.bytes().size()});
  std::size_t rows = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  if (data.size() != rows * row_bytes(dtype, shape.back())) {
    throw std::logic_error("tensor " + infos_.back().name + ": shape and data do not agree");
  }
  data_.put_bytes(data);
  return *this;
}

GgufWriter& GgufWriter::tensor(std::string_view name, std::vector<std::size_t> shape,
                               std::span<const float> values, DType dtype) {
  return tensor(name, std::move(shape), dtype, encode_plain(dtype, values));
}

GgufWriter& GgufWriter::version(std::uint32_t version) {
  version_ = version;
  return *this;
}

GgufWriter& GgufWriter::alignment(std::uint32_t alignment) {
  alignment_ = alignment;
  return set("general.alignment", alignment);
}

ByteBuffer GgufWriter::header() const {
  ByteBuffer out;
  out.put_bytes(std::as_bytes(std::span(std::string_view("GGUF"))));
  out.put(version_).put(std::uint64_t{infos_.size()}).put(metadata_count_);
  out.put_bytes(metadata_.bytes());
  for (const Info& info : infos_) {
    out.put_string(info.name).put(static_cast<std::uint32_t>(info.dims.size()));
    for (const std::uint64_t dim : info.dims) out.put(dim);
    out.put(info.type).put(info.offset);
  }
  return std::move(out.pad(alignment_));
}

std::vector<std::byte> GgufWriter::bytes() const {
  return header().put_bytes(data_.bytes()).bytes();
}

std::size_t GgufWriter::header_size() const {
  return header().bytes().size();
}

void GgufWriter::write(const std::filesystem::path& path) const {
  write_file(path, bytes());
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace varve
