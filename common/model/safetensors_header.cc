#include "common/model/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/strict_json.h"
#include "common/model/byte_cursor.h"
#include "common/model/tensor_index.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeader = 100'000'000;  // of the reference reader, too
constexpr std::size_t kMaxDepth = 4;               // {name: {shape: [...]}} takes 3
constexpr std::size_t kMaxDims = 8;

struct ElementType {
  std::string_view name;
  std::uint64_t bytes;
  std::optional<DType> dtype = std::nullopt;
};

constexpr std::array kElementTypes = {
    ElementType{"F32", 4, DType::kF32},
    ElementType{"F16", 2, DType::kF16},
    ElementType{"BF16", 2, DType::kBF16},
    ElementType{"F64", 8},
    ElementType{"F8_E4M3", 1},
    ElementType{"F8_E5M2", 1},
    ElementType{"F8_E8M0", 1},
    ElementType{"I64", 8},
    ElementType{"I32", 4},
    ElementType{"I16", 2},
    ElementType{"I8", 1},
    ElementType{"U64", 8},
    ElementType{"U32", 4},
    ElementType{"U16", 2},
    ElementType{"U8", 1},
    ElementType{"BOOL", 1},
    ElementType{"C64", 8},
};

// One tensor's entry in the header, for its messages.
class EntryReader {
 public:
  EntryReader(const std::string& path, const std::string& name, const json& entry,
              std::span<const std::byte> data)
      : path_(path), name_(name), entry_(entry), data_(data) {}

  SafetensorsEntry read(Extent& extent) const {
    if (!entry_.is_object()) fail("is no object; {dtype, shape, data_offsets} would be right");
    const ElementType& type = element_type();
    const auto shape = numbers("shape", kMaxDims);
    extent = place();
    check_size(shape, type, extent.end - extent.begin);
    return {.name = name_,
            .type = std::string(type.name),
            .dtype = type.dtype,
            .shape = {shape.begin(), shape.end()},
            .data = data_.subspan(extent.begin, extent.end - extent.begin)};
  }

  [[noreturn]] void fail(std::string_view message) const {
    throw IoError(fmt::format("{}: tensor {}: {}", path_, in_quotes(name_), message));
  }

 private:
  const json& member(const char* key) const {
    const auto found = entry_.find(key);
    if (found == entry_.end()) fail(fmt::format("has no '{}'", key));
    return *found;
  }

  const ElementType& element_type() const {
    const json& dtype = member("dtype");
    if (!dtype.is_string()) fail("'dtype' is no string; 'F32' would be right");
    const auto& name = dtype.get_ref<const std::string&>();
    const auto known = std::ranges::find(kElementTypes, name, &ElementType::name);
    if (known == kElementTypes.end()) {
      fail(fmt::format("dtype {} is unknown; F32, F16 or BF16 would be right", in_quotes(name)));
    }
    return *known;
  }

  std::vector<std::uint64_t> numbers(const char* key, std::size_t most) const {
    const json& list = member(key);
    const auto is_number = [](const json& n) { return n.is_number_unsigned(); };
    if (!list.is_array() || list.size() > most || !std::ranges::all_of(list, is_number)) {
      fail(fmt::format("'{}' is not a list of at most {} integers that are not negative", key,
                       most));
    }
    return list.get<std::vector<std::uint64_t>>();
  }

  Extent place() const {
    const auto offsets = numbers("data_offsets", 2);
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
      fail("'data_offsets' is not [begin, end] with begin <= end");
    }
    if (offsets[1] > data_.size()) {
      fail(
          fmt::format("'data_offsets' end at {}, but the file has {} bytes of data; it is "
                      "truncated or corrupt",
                      offsets[1], data_.size()));
    }
    return {offsets[0], offsets[1]};
  }

  void check_size(std::vector<std::uint64_t> factors, const ElementType& type,
                  std::uint64_t bytes) const {
    factors.push_back(type.bytes);
    const auto needed = checked_product(factors);
    if (!needed) fail("the shape multiplies to more than 64 bits can hold");
    if (*needed != bytes) {
      fail(fmt::format("'data_offsets' span {} bytes; shape and type {} take {}", bytes, type.name,
                       *needed));
    }
  }

  const std::string& path_;
  const std::string& name_;
  const json& entry_;
  std::span<const std::byte> data_;
};

// The text of the header. Leaves the cursor at the data.
std::string_view header_text(ByteCursor& cursor) {
  const auto length = cursor.read<std::uint64_t>("the length of the header");
  if (length > kMaxHeader) {
    cursor.fail(0, fmt::format("a header of {} bytes; at most {} would be right, so this is no "
                               "safetensors file or it is corrupt",
                               length, kMaxHeader));
  }
  const auto part = cursor.take(length, "the header");
  const std::string_view text(reinterpret_cast<const char*>(part.data()), part.size());
  if (!text.starts_with('{')) {
    cursor.fail(8, fmt::format("the header begins with {}; '{{' would be right",
                               in_quotes(text.substr(0, 8))));
  }
  return text;
}

void check_coverage(const std::string& path, const std::vector<SafetensorsEntry>& entries,
                    std::vector<Extent>& extents, std::uint64_t size) {
  if (const auto overlap = sort_and_find_overlap(extents)) {
    throw IoError(fmt::format("{}: tensor {}: its data overlaps that of tensor {}", path,
                              in_quotes(entries[overlap->second.tensor].name),
                              in_quotes(entries[overlap->first.tensor].name)));
  }
  std::uint64_t end = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != end) {
      throw IoError(
          fmt::format("{}: tensor {}: its data begins at {}, but {} would be right: the "
                      "format has no gaps",
                      path, in_quotes(entries[extent.tensor].name), extent.begin, end));
    }
    end = extent.end;
  }
  if (end != size) {
    throw IoError(fmt::format("{}: the tensors end at {}, the data at {}; the file is corrupt",
                              path, end, size));
  }
}

}  // namespace

std::vector<SafetensorsEntry> read_safetensors_header(std::span<const std::byte> file,
                                                      const std::string& path) {
  ByteCursor cursor(file, path);
  const json header = parse_strict_json(header_text(cursor), path + " (header)", kMaxDepth);
  const auto data = file.subspan(cursor.offset());
  std::vector<SafetensorsEntry> entries;
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    Extent extent;
    entries.push_back(EntryReader(path, name, entry, data).read(extent));
    extent.tensor = entries.size() - 1;
    extents.push_back(extent);
  }
  check_coverage(path, entries, extents, data.size());
  return entries;
}

}  // namespace varve
