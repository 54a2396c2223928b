#include "common/model/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/model/byte_cursor.h"

namespace varve {
namespace {

constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMinAlignment = 8;
constexpr std::uint64_t kMaxAlignment = std::uint64_t{1} << 30;
constexpr std::uint32_t kMaxDims = 4;
// The least that an entry takes in the file: lengths of one byte, one dimension.
constexpr std::uint64_t kMinMetadataBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kMinInfoBytes = 8 + 1 + 4 + 8 + 4 + 8;

// Types as GGUF numbers them. Those that varve does not compute with are listed to be named.
struct TensorType {
  std::uint32_t number;
  std::string_view name;
  std::optional<DType> dtype = std::nullopt;
};

constexpr std::array kTensorTypes = {
    TensorType{0, "F32", DType::kF32},
    TensorType{1, "F16", DType::kF16},
    TensorType{30, "BF16", DType::kBF16},
    TensorType{2, "Q4_0", DType::kQ4_0},
    TensorType{3, "Q4_1", DType::kQ4_1},
    TensorType{6, "Q5_0", DType::kQ5_0},
    TensorType{7, "Q5_1", DType::kQ5_1},
    TensorType{8, "Q8_0", DType::kQ8_0},
    TensorType{12, "Q4_K", DType::kQ4_K},
    TensorType{13, "Q5_K", DType::kQ5_K},
    TensorType{14, "Q6_K", DType::kQ6_K},
    TensorType{9, "Q8_1"},
    TensorType{10, "Q2_K"},
    TensorType{11, "Q3_K"},
    TensorType{15, "Q8_K"},
    TensorType{16, "IQ2_XXS"},
    TensorType{17, "IQ2_XS"},
    TensorType{18, "IQ3_XXS"},
    TensorType{19, "IQ1_S"},
    TensorType{20, "IQ4_NL"},
    TensorType{21, "IQ3_S"},
    TensorType{22, "IQ2_S"},
    TensorType{23, "IQ4_XS"},
    TensorType{24, "I8"},
    TensorType{25, "I16"},
    TensorType{26, "I32"},
    TensorType{27, "I64"},
    TensorType{28, "F64"},
    TensorType{29, "IQ1_M"},
    TensorType{34, "TQ1_0"},
    TensorType{35, "TQ2_0"},
    TensorType{39, "MXFP4"},
};

struct TensorInfo {
  std::uint64_t at = 0;  // byte in the file, for messages
  std::string_view name;
  std::uint32_t dim_count = 0;
  std::array<std::uint64_t, kMaxDims> dims{1, 1, 1, 1};  // innermost first
  DType dtype = DType::kF32;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;  // from the start of the data
};

struct Counts {
  std::uint64_t tensors = 0;
  std::uint64_t metadata = 0;
};

void check_version(ByteCursor& cursor) {
  const std::uint64_t at = cursor.offset();
  const auto version = cursor.read<std::uint32_t>("the version");
  if (version == 2 || version == 3) return;
  // 2 and 3 with their bytes reversed.
  if (version == 0x02000000 || version == 0x03000000) {
    cursor.fail(at, "the file is big-endian; a little-endian one would be right");
  }
  cursor.fail(at, fmt::format("GGUF version {}; 2 or 3 would be right", version));
}

Counts read_preamble(ByteCursor& cursor) {
  const auto magic = cursor.take(4, "the magic number");
  const std::string_view text(reinterpret_cast<const char*>(magic.data()), magic.size());
  if (text != "GGUF") {
    cursor.fail(0, fmt::format("begins with {}; a GGUF file begins with 'GGUF'", in_quotes(text)));
  }
  check_version(cursor);
  Counts counts;
  counts.tensors = cursor.read<std::uint64_t>("the number of tensors");
  counts.metadata = cursor.read<std::uint64_t>("the number of metadata entries");
  cursor.expect_room(counts.metadata, kMinMetadataBytes, "metadata entries");
  cursor.expect_room(counts.tensors, kMinInfoBytes, "tensor infos");
  return counts;
}

std::string supported_types() {
  std::string list;
  for (const TensorType& type : kTensorTypes) {
    if (type.dtype) list += fmt::format("{}{}", list.empty() ? "" : ", ", type.name);
  }
  return list;
}

DType read_dtype(ByteCursor& cursor) {
  const std::uint64_t at = cursor.offset();
  const auto number = cursor.read<std::uint32_t>("the type of a tensor");
  const auto known = std::ranges::find(kTensorTypes, number, &TensorType::number);
  if (known != kTensorTypes.end() && known->dtype) return *known->dtype;
  cursor.fail(
      at, fmt::format("type {} ({}) is not supported; supported are {}", number,
                      known == kTensorTypes.end() ? "unknown" : known->name, supported_types()));
}

void read_dims(ByteCursor& cursor, TensorInfo& info) {
  const std::uint64_t at = cursor.offset();
  info.dim_count = cursor.read<std::uint32_t>("the number of dimensions");
  if (info.dim_count == 0 || info.dim_count > kMaxDims) {
    cursor.fail(at, fmt::format("{} dimensions; 1 to {} would be right", info.dim_count, kMaxDims));
  }
  for (std::uint64_t& dim : std::span(info.dims).first(info.dim_count)) {
    const std::uint64_t dim_at = cursor.offset();
    dim = cursor.read<std::uint64_t>("a dimension");
    if (dim == 0) cursor.fail(dim_at, "a dimension is 0; at least 1 would be right");
  }
}

// Bytes of the whole tensor, every product checked.
std::uint64_t tensor_bytes(const ByteCursor& cursor, const TensorInfo& info) {
  const DTypeInfo& type = dtype_info(info.dtype);
  if (info.dims[0] % type.block_size != 0) {
    cursor.fail(info.at, fmt::format("a row has {} elements; a multiple of {}, the block of {}, "
                                     "would be right",
                                     info.dims[0], type.block_size, type.name));
  }
  const auto elements = checked_product(info.dims);
  const std::array block{elements.value_or(0) / type.block_size, std::uint64_t{type.block_bytes}};
  const auto bytes = checked_product(block);
  if (!elements || !bytes) {
    cursor.fail(info.at, "the dimensions multiply to more than 64 bits can hold");
  }
  return *bytes;
}

TensorInfo read_info(ByteCursor& cursor) {
  TensorInfo info;
  info.at = cursor.offset();
  cursor.set_context("", {});
  info.name = cursor.read_string("a tensor's name");
  cursor.set_context("tensor", info.name);
  if (info.name.empty()) cursor.fail(info.at, "a tensor's name is empty");
  read_dims(cursor, info);
  info.dtype = read_dtype(cursor);
  info.offset = cursor.read<std::uint64_t>("the offset of a tensor");
  info.bytes = tensor_bytes(cursor, info);
  return info;
}

std::vector<TensorInfo> read_infos(ByteCursor& cursor, std::uint64_t count) {
  std::vector<TensorInfo> infos;
  std::unordered_map<std::string_view, std::uint64_t> seen;  // name -> byte in the file
  for (std::uint64_t i = 0; i < count; ++i) {
    infos.push_back(read_info(cursor));
    const TensorInfo& info = infos.back();
    const auto [first, is_new] = seen.emplace(info.name, info.at);
    if (!is_new) {
      cursor.fail(info.at, fmt::format("the tensor is listed twice, first at byte {}; once would "
                                       "be right",
                                       first->second));
    }
  }
  return infos;
}

std::uint64_t read_alignment(const GgufMetadata& metadata) {
  const std::uint64_t alignment = metadata.get_u64("general.alignment").value_or(kDefaultAlignment);
  if (!std::has_single_bit(alignment) || alignment < kMinAlignment || alignment > kMaxAlignment) {
    throw IoError(
        fmt::format("{}: key 'general.alignment' is {}; a power of two from {} to {} "
                    "would be right",
                    metadata.path(), alignment, kMinAlignment, kMaxAlignment));
  }
  return alignment;
}

// `begin` and `size` are those of the data section.
void check_place(ByteCursor& cursor, const TensorInfo& info, std::uint64_t alignment,
                 std::uint64_t begin, std::uint64_t size) {
  cursor.set_context("tensor", info.name);
  if (info.offset % alignment != 0) {
    cursor.fail(info.at, fmt::format("offset {} is no multiple of the alignment {}", info.offset,
                                     alignment));
  }
  if (info.offset > size || info.bytes > size - info.offset) {
    cursor.fail(info.at, fmt::format("{} bytes at offset {} of the data (which begins at byte {}) "
                                     "pass the end of the file; it is truncated or corrupt",
                                     info.bytes, info.offset, begin));
  }
}

void check_overlaps(ByteCursor& cursor, const std::vector<TensorInfo>& infos) {
  std::vector<Extent> extents;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    extents.push_back({infos[i].offset, infos[i].offset + infos[i].bytes, i});
  }
  if (const auto overlap = sort_and_find_overlap(extents)) {
    const TensorInfo& info = infos[overlap->second.tensor];
    cursor.set_context("tensor", info.name);
    cursor.fail(info.at,
                fmt::format("its data at offset {} overlaps that of tensor {}, which takes "
                            "offsets {} to {}",
                            info.offset, in_quotes(infos[overlap->first.tensor].name),
                            overlap->first.begin, overlap->first.end));
  }
}

TensorEntry entry_of(const TensorInfo& info, const std::byte* data) {
  TensorEntry entry;
  entry.name = info.name;
  entry.dtype = info.dtype;
  const auto dims = std::span(info.dims).first(info.dim_count);
  entry.shape.assign(dims.rbegin(), dims.rend());
  entry.data = data + info.offset;
  entry.bytes = info.bytes;
  return entry;
}

TensorIndex index_of(ByteCursor& cursor, const std::vector<TensorInfo>& infos,
                     std::uint64_t alignment, std::span<const std::byte> bytes) {
  const std::uint64_t begin = (cursor.offset() + alignment - 1) / alignment * alignment;
  const auto data = bytes.subspan(std::min<std::uint64_t>(begin, bytes.size()));
  for (const TensorInfo& info : infos) check_place(cursor, info, alignment, begin, data.size());
  check_overlaps(cursor, infos);
  std::vector<TensorEntry> entries;
  entries.reserve(infos.size());
  for (const TensorInfo& info : infos) entries.push_back(entry_of(info, data.data()));
  return TensorIndex(std::move(entries));
}

}  // namespace

GgufFile::GgufFile(std::optional<MappedFile> mapping, std::span<const std::byte> bytes,
                   std::string path)
    : mapping_(std::move(mapping)), path_(std::move(path)) {
  ByteCursor cursor(bytes, path_);
  const Counts counts = read_preamble(cursor);
  metadata_ = GgufMetadata(cursor, counts.metadata, path_);
  const std::vector<TensorInfo> infos = read_infos(cursor, counts.tensors);
  index_ = index_of(cursor, infos, read_alignment(metadata_), bytes);
}

std::unique_ptr<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  MappedFile mapping(path);
  const auto bytes = mapping.bytes();
  return std::unique_ptr<GgufFile>(new GgufFile(std::move(mapping), bytes, path.string()));
}

std::unique_ptr<GgufFile> GgufFile::from_bytes(std::span<const std::byte> bytes, std::string path) {
  return std::unique_ptr<GgufFile>(new GgufFile(std::nullopt, bytes, std::move(path)));
}

void GgufFile::check_unchanged(const TensorEntry&) const {
  if (mapping_) mapping_->check_unchanged();
}

void GgufFile::release(const TensorEntry& tensor) const {
  if (!mapping_) return;
  mapping_->advise(MappedFile::Access::kDontNeed,
                   {static_cast<const std::byte*>(tensor.data), tensor.bytes});
}

std::string GgufFile::describe(std::string_view) const {
  return path_;
}

}  // namespace varve
