// YAML text as a plain tree, within limits. Only yaml_tree.cc knows yaml-cpp: it takes the parser's
// events and not its Node, so that depth and count are checked as they grow and every key keeps its
// line. What a configuration has no use for is refused: anchors and aliases (no bombs), tags,
// several documents, keys that are not text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/config/problems.h"

namespace varve {

inline constexpr std::size_t kMostYamlBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMostYamlDepth = 32;
inline constexpr std::size_t kMostYamlValues = 100'000;

/// A text that holds configuration: a file, or the value of one override.
struct YamlSource {
  std::string shown;           // in messages: "job.yaml", "--set a.b=c"
  std::string text;            // UTF-8, without a byte order mark
  std::filesystem::path base;  // folder that relative paths in it start from
  bool is_file = true;         // lines and columns mean something

  /// `line` and `byte` (of the line) count from 0.
  Where where(std::uint32_t line, std::uint32_t byte) const;
};

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool quoted = false;  // a scalar in quotes or in block style: text, whatever it looks like
  std::string text;     // kScalar
  std::vector<YamlNode> items;     // kList
  std::vector<YamlEntry> entries;  // kMap, in the order of the file, keys unique
  const YamlSource* source = nullptr;
  std::uint32_t line = 0;  // from 0; of the key, where there is one
  std::uint32_t byte = 0;  // of the line, from 0

  Where where() const { return source == nullptr ? Where{} : source->where(line, byte); }
  const YamlNode* find(std::string_view key) const;
  YamlNode* find(std::string_view key);
};

struct YamlEntry {
  std::string key;
  YamlNode value;
};

/// "empty", "0", "the text 'abc'", "a list of 3", "a map of a, b"
std::string describe(const YamlNode& node);

/// The tree, or nothing when the text cannot be read; either may leave problems. `source` must
/// outlive the tree.
std::optional<YamlNode> parse_yaml(const YamlSource& source, Problems& problems);

/// Applies "a.b.0.c=value", the value YAML: a name makes the entry if there is none, a number names
/// an item of a list or, if it is one past the end, a new one. `value` outlives the tree.
void apply_override(YamlNode& root, std::string_view path, const YamlSource& value,
                    Problems& problems);

}  // namespace varve
