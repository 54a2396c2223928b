#include "common/config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/utf8.h"

namespace varve {
namespace {

/// A text that is refused as a whole.
struct Refused {
  std::uint32_t line;
  std::uint32_t byte;
  std::string text;
};

std::uint32_t from_zero(int mark) {
  return mark < 0 ? 0 : static_cast<std::uint32_t>(mark);
}

[[noreturn]] void refuse(const YAML::Mark& mark, std::string text) {
  throw Refused{from_zero(mark.line), from_zero(mark.column), std::move(text)};
}

/// Turns events into a tree. Every start of a collection passes push(), before yaml-cpp descends
/// into it: the limit on depth bounds yaml-cpp's recursion as well as ours.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const YamlSource& source, Problems& problems) : source_(source), problems_(problems) {
    root_.source = &source;
  }

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) refuse(mark, "a second document starts here; one file holds one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check_plain(mark, "?", anchor);
    add(make(mark, YamlNode::Kind::kNull));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "aliases (*name) are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_plain(mark, tag, anchor);
    YamlNode node = make(mark, YamlNode::Kind::kScalar);
    node.quoted = tag == "!";
    if (node.quoted) check_closed(mark);
    node.text = value;
    const bool is_null = value == "~" || value == "null" || value == "Null" || value == "NULL";
    if (is_null && !node.quoted) node = make(mark, YamlNode::Kind::kNull);
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    push(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { pop(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    push(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { pop(); }

 private:
  /// A collection that is being read, and in a map the key whose value comes next.
  struct Open {
    YamlNode node;
    std::optional<YamlNode> key;
    std::unordered_map<std::string, std::uint32_t> lines;  // key -> line of its first use, from 0
  };

  YamlNode make(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (++values_ > kMostYamlValues) {
      refuse(mark, fmt::format("holds more than {} values", kMostYamlValues));
    }
    YamlNode node;
    node.kind = kind;
    node.source = &source_;
    node.line = from_zero(mark.line);
    node.byte = from_zero(mark.column);
    return node;
  }

  void check_plain(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) refuse(mark, "anchors (&name) are not supported; write the value out");
    if (!tag.empty() && tag != "?" && tag != "!") {
      refuse(mark, fmt::format("tags such as {} are not supported", in_quotes(tag)));
    }
  }

  /// yaml-cpp takes a quote that never ends for one that ends with the file.
  void check_closed(const YAML::Mark& mark) {
    const std::string_view rest = std::string_view(source_.text).substr(from_zero(mark.pos));
    const char quote = rest.empty() ? '\0' : rest.front();
    if (quote != '"' && quote != '\'') return;  // a block of text
    for (std::size_t i = 1; i < rest.size(); ++i) {
      const bool doubled = quote == '\'' && rest.substr(i, 2) == "''";
      if (doubled || (quote == '"' && rest[i] == '\\')) {
        ++i;
      } else if (rest[i] == quote) {
        return;
      }
    }
    refuse(mark, "the quote that begins here does not end");
  }

  void push(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    check_plain(mark, tag, anchor);
    if (!open_.empty() && is_map(open_.back()) && !open_.back().key) {
      refuse(mark, "a list or a map cannot be a key");
    }
    if (open_.size() >= kMostYamlDepth) {
      refuse(mark, fmt::format("lists and maps are nested more than {} deep", kMostYamlDepth));
    }
    open_.push_back({make(mark, kind), std::nullopt, {}});
  }

  void pop() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  static bool is_map(const Open& open) { return open.node.kind == YamlNode::Kind::kMap; }

  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (!is_map(open_.back())) {
      open_.back().node.items.push_back(std::move(node));
    } else if (!open_.back().key) {
      add_key(std::move(node));
    } else {
      add_value(std::move(node));
    }
  }

  void add_key(YamlNode node) {
    if (node.kind != YamlNode::Kind::kScalar) {
      throw Refused{node.line, node.byte, "a key is missing before ':'"};
    }
    open_.back().key = std::move(node);
  }

  void add_value(YamlNode node) {
    Open& open = open_.back();
    const YamlNode key = *std::exchange(open.key, std::nullopt);
    const auto [first, is_new] = open.lines.emplace(key.text, key.line);
    if (!is_new) {
      problems_.add(problems_.full() ? Where{} : key.where(), "",
                    fmt::format("the key {} is given twice; first in line {}", in_quotes(key.text),
                                first->second + 1));
      return;
    }
    node.line = key.line;
    node.byte = key.byte;
    open.node.entries.push_back({key.text, std::move(node)});
  }

  const YamlSource& source_;
  Problems& problems_;
  YamlNode root_;
  std::vector<Open> open_;
  std::size_t values_ = 0;
  std::size_t documents_ = 0;
};

std::string_view line_of(std::string_view text, std::size_t line) {
  for (; line > 0; --line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

/// What is most likely behind an error that yaml-cpp found in `line`. It has many words for a tab,
/// and it refuses the '?' that YAML allows at the end of a text in [] or {}.
std::string syntax_hint(std::string_view text, std::uint32_t line) {
  for (std::uint32_t at = line < 1 ? 0 : line - 1; at <= line; ++at) {
    const std::string_view shown = line_of(text, at);
    if (shown.substr(0, shown.find_first_not_of(" \t")).find('\t') != std::string_view::npos) {
      return fmt::format(" (line {} is indented with a tab; YAML wants spaces)", at + 1);
    }
  }
  const std::string_view shown = line_of(text, line);
  const std::size_t open = shown.find_first_of("[{");
  if (open != std::string_view::npos && shown.find('?', open) != std::string_view::npos) {
    return " (inside [] and {} a text with a '?' needs quotes)";
  }
  return "";
}

/// Text that yaml-cpp should never see: what is not UTF-8 (it would guess at UTF-16), and control
/// characters (it takes U+0004 for the end of the file).
void check_characters(std::string_view text) {
  std::uint32_t line = 0;
  std::size_t line_begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint decoded = decode_utf8(text, i);
    const auto point = static_cast<std::uint32_t>(decoded.value);
    const auto byte = static_cast<std::uint32_t>(i - line_begin);
    if (!decoded.valid) throw Refused{line, byte, "is not UTF-8 text"};
    const bool line_end = point == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    const bool control = (point < 0x20 && point != '\t' && point != '\n' && !line_end) ||
                         (point >= 0x7f && point < 0xa0 && point != 0x85);
    if (control) {
      throw Refused{line, byte, fmt::format("control character U+{:04X}; is this text?", point)};
    }
    i += decoded.length;
    if (point == '\n') {
      ++line;
      line_begin = i;
    }
  }
}

std::optional<YamlNode> parse_checked(const YamlSource& source, Problems& problems) {
  TreeBuilder builder(source, problems);
  std::istringstream stream(source.text);
  YAML::Parser parser(stream);
  while (parser.HandleNextDocument(builder)) {
  }
  return builder.take();
}

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> names;
  while (true) {
    const std::size_t dot = path.find('.');
    names.push_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return names;
    path.remove_prefix(dot + 1);
  }
}

std::optional<std::size_t> parse_index(std::string_view name) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return index;
}

/// The entry or item `name` of `node`, made if it may be. The message of a Refused has no place.
YamlNode& step_into(YamlNode& node, std::string_view name, std::string_view parent) {
  const std::optional<std::size_t> index = parse_index(name);
  if (node.kind == YamlNode::Kind::kNull) {
    node.kind = index ? YamlNode::Kind::kList : YamlNode::Kind::kMap;
  }
  if (node.kind == YamlNode::Kind::kScalar) {
    throw Refused{0, 0,
                  fmt::format("{} is {} and holds nothing named {}; set it as a whole", parent,
                              describe(node), in_quotes(name))};
  }
  if (node.kind == YamlNode::Kind::kMap) {
    if (YamlNode* found = node.find(name)) return *found;
    node.entries.push_back({std::string(name), YamlNode{}});
    return node.entries.back().value;
  }
  if (!index || *index > node.items.size()) {
    throw Refused{0, 0,
                  fmt::format("{} is {}; name an item by a number up to {}, not {}", parent,
                              describe(node), node.items.size(), in_quotes(name))};
  }
  if (*index == node.items.size()) node.items.emplace_back();
  return node.items[*index];
}

}  // namespace

Where YamlSource::where(std::uint32_t line, std::uint32_t byte) const {
  if (!is_file) return {shown, 0, 0};
  const std::string_view before = line_of(text, line).substr(0, byte);
  const auto characters = std::count_if(before.begin(), before.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  });
  return {shown, line + 1, static_cast<std::uint32_t>(characters) + 1};
}

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const YamlEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &found->value;
}

YamlNode* YamlNode::find(std::string_view key) {
  return const_cast<YamlNode*>(std::as_const(*this).find(key));
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "empty";
    case YamlNode::Kind::kList:
      return fmt::format("a list of {}", node.items.size());
    case YamlNode::Kind::kMap: {
      std::string names;
      for (std::size_t i = 0; i < node.entries.size() && i < 4; ++i) {
        names += (i == 0 ? "" : ", ") + in_quotes(node.entries[i].key);
      }
      return fmt::format("a map of {}{}", names, node.entries.size() > 4 ? ", ..." : "");
    }
    case YamlNode::Kind::kScalar:
      break;
  }
  const bool number = !node.quoted && node.text.size() < 30 &&
                      node.text.find_first_not_of("0123456789+-.eE") == std::string::npos;
  return number ? node.text : "the text " + in_quotes(node.text);
}

std::optional<YamlNode> parse_yaml(const YamlSource& source, Problems& problems) {
  try {
    if (source.text.size() > kMostYamlBytes) {
      throw Refused{0, 0,
                    fmt::format("is {} bytes; the limit is {} (long texts and lists of "
                                "questions go into files of their own)",
                                source.text.size(), kMostYamlBytes)};
    }
    check_characters(source.text);
    return parse_checked(source, problems);
  } catch (const Refused& refused) {
    problems.add(source.where(refused.line, refused.byte), "", refused.text);
  } catch (const YAML::Exception& error) {
    const std::uint32_t line = from_zero(error.mark.line);
    Where where = source.where(line, from_zero(error.mark.column));
    if (error.mark.is_null()) where.line = 0;
    problems.add(where, "",
                 fmt::format("not valid YAML: {}{}", error.msg, syntax_hint(source.text, line)));
  } catch (const std::exception& error) {
    problems.add({source.shown, 0, 0}, "", fmt::format("not valid YAML: {}", error.what()));
  }
  return std::nullopt;
}

void apply_override(YamlNode& root, std::string_view path, const YamlSource& value,
                    Problems& problems) {
  const Where where = value.where(0, 0);
  const std::vector<std::string_view> names = split_path(path);
  if (names.size() > kMostYamlDepth) {
    problems.add(where, "", fmt::format("names more than {} levels", kMostYamlDepth));
    return;
  }
  std::optional<YamlNode> parsed = parse_yaml(value, problems);
  if (!parsed) return;
  YamlNode* node = &root;
  std::string parent = "the file";
  try {
    for (const std::string_view name : names) {
      if (name.empty()) throw Refused{0, 0, "a name is missing; write name.name=value"};
      node = &step_into(*node, name, parent);
      if (node->source == nullptr) node->source = &value;
      parent = parent == "the file" ? std::string(name) : fmt::format("{}.{}", parent, name);
    }
    *node = std::move(*parsed);
  } catch (const Refused& refused) {
    problems.add(where, "", refused.text);
  }
}

}  // namespace varve
