#include "common/config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <deque>

#include "common/config/yaml_tree.h"
#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/regular_file.h"

namespace varve {
namespace {

using Kind = YamlNode::Kind;

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool looks_whole(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string join_path(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::filesystem::path expand_home(const std::string& text) {
  const bool home = text == "~" || text.starts_with("~/");
  const char* folder = home ? std::getenv("HOME") : nullptr;
  if (folder == nullptr) return text;
  return text.size() < 3 ? std::filesystem::path(folder)
                         : std::filesystem::path(folder) / text.substr(2);
}

}  // namespace

bool ConfigNode::is_map() const {
  return exists() && node_->kind == Kind::kMap;
}
bool ConfigNode::is_list() const {
  return exists() && node_->kind == Kind::kList;
}
bool ConfigNode::is_scalar() const {
  return exists() && node_->kind == Kind::kScalar;
}
bool ConfigNode::is_auto() const {
  return is_scalar() && node_->text == "auto";
}

Where ConfigNode::where() const {
  // Finding a column costs a walk through the text: not for what will not be shown.
  return exists() && !problems_->full() ? node_->where() : Where{};
}

std::filesystem::path ConfigNode::base() const {
  return exists() && node_->source != nullptr ? node_->source->base : std::filesystem::path();
}

void ConfigNode::problem(std::string_view text) const {
  problems_->add(where(), path_, text);
}

void ConfigNode::wrong(std::string_view expected) const {
  problem(fmt::format("must be {}, is {}", expected, describe(*node_)));
}

bool ConfigNode::check_scalar(std::string_view expected) const {
  if (exists() && !is_scalar()) wrong(expected);
  return is_scalar();
}

bool ConfigNode::read(bool& out) const {
  if (!check_scalar("true or false")) return false;
  const bool yes = node_->text == "true" && !node_->quoted;
  const bool no = node_->text == "false" && !node_->quoted;
  if (!yes && !no) wrong("true or false");
  if (yes || no) out = yes;
  return yes || no;
}

bool ConfigNode::read(std::string& out) const {
  if (!check_scalar("a text")) return false;
  out = node_->text;
  return true;
}

bool ConfigNode::read_integer(std::uint64_t& out, std::uint64_t low, std::uint64_t high,
                              std::string_view prefix) const {
  const std::string range = fmt::format("between {} and {}", low, high);
  const std::string whole = fmt::format("{}a whole number {}", prefix, range);
  if (!check_scalar(whole)) return false;
  const std::optional<std::uint64_t> value = parse_number<std::uint64_t>(node_->text);
  if (node_->quoted || !looks_whole(node_->text)) {
    wrong(whole);
  } else if (!value || *value < low || *value > high) {
    wrong(fmt::format("{}{}", prefix, range));
  } else {
    out = *value;
    return true;
  }
  return false;
}

bool ConfigNode::read_number(double& out, double low, double high) const {
  const std::string expected = fmt::format("a number between {} and {}", low, high);
  if (!check_scalar(expected)) return false;
  const std::optional<double> value = parse_number<double>(node_->text);
  if (node_->quoted || !value || !std::isfinite(*value) || *value < low || *value > high) {
    const bool number = !node_->quoted && value && std::isfinite(*value);
    wrong(number ? fmt::format("between {} and {}", low, high) : expected);
    return false;
  }
  out = *value;
  return true;
}

bool ConfigNode::read_bytes(Bytes& out, Bytes low, Bytes high, std::string_view prefix) const {
  const std::string expected =
      fmt::format("{}a size between {} and {}", prefix, to_string(low), to_string(high));
  if (!check_scalar(expected)) return false;
  try {
    const Bytes value = parse_bytes(node_->text);
    if (value < low || value > high) {
      wrong(expected);
      return false;
    }
    out = value;
    return true;
  } catch (const ConfigError& error) {
    problem(fmt::format("must be {}: {}", expected, error.what()));
    return false;
  }
}

bool ConfigNode::read_or_auto(std::optional<Bytes>& out, Bytes low, Bytes high) const {
  Bytes value;
  if (is_auto()) {
    out.reset();
    return true;
  }
  if (!read_bytes(value, low, high, "auto or ")) return false;
  out = value;
  return true;
}

bool ConfigNode::read(std::chrono::milliseconds& out, std::chrono::milliseconds low,
                      std::chrono::milliseconds high) const {
  const std::string expected = fmt::format("a duration between {} and {}", to_string(Duration(low)),
                                           to_string(Duration(high)));
  if (!check_scalar(expected)) return false;
  try {
    const Duration value = parse_duration(node_->text);
    if (value < low || value > high) {
      wrong(expected);
      return false;
    }
    out = std::chrono::duration_cast<std::chrono::milliseconds>(value);
    return true;
  } catch (const ConfigError& error) {
    problem(fmt::format("must be {}: {}", expected, error.what()));
    return false;
  }
}

std::optional<std::size_t> ConfigNode::read_name(std::span<const std::string_view> names) const {
  if (!check_scalar(fmt::format("one of {}", fmt::join(names, ", ")))) return std::nullopt;
  const auto found = std::find(names.begin(), names.end(), node_->text);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  problem(fmt::format("unknown value {}{}", in_quotes(node_->text), name_hint(node_->text, names)));
  return std::nullopt;
}

bool ConfigNode::read_path(std::filesystem::path& out) const {
  if (!check_scalar("a path")) return false;
  if (node_->text.empty() || node_->text.find('\0') != std::string::npos) {
    wrong("a path");
    return false;
  }
  out = (base() / expand_home(node_->text)).lexically_normal();
  return true;
}

bool ConfigNode::read_map(const std::function<void(ConfigMap&)>& fields) const {
  if (!exists()) return false;
  // "sampling:" with every line below it commented out is a map of nothing.
  if (!is_map() && node_->kind != Kind::kNull) {
    wrong("a map (key: value)");
    return false;
  }
  ConfigMap map(*this);
  fields(map);
  map.report_unknown();
  return true;
}

std::vector<ConfigNode> ConfigNode::read_list() const {
  std::vector<ConfigNode> items;
  if (exists() && !is_list()) wrong("a list");
  if (!is_list()) return items;
  for (std::size_t i = 0; i < node_->items.size(); ++i) {
    items.emplace_back(&node_->items[i], join_path(path_, std::to_string(i)), problems_);
  }
  return items;
}

std::vector<std::string_view> ConfigNode::keys() const {
  std::vector<std::string_view> keys;
  if (!is_map()) return keys;
  for (const YamlEntry& entry : node_->entries) keys.push_back(entry.key);
  return keys;
}

ConfigNode ConfigNode::child(std::string_view key) const {
  return {is_map() ? node_->find(key) : nullptr, join_path(path_, key), problems_};
}

ConfigNode ConfigMap::at(std::string_view key) {
  known_.push_back(key);
  return {node_.node_->find(key), join_path(node_.path_, key), node_.problems_};
}

ConfigNode ConfigMap::need(std::string_view key) {
  ConfigNode node = at(key);
  if (!node.exists()) {
    node_.problems_->add(node_.where(), node.path(), "is required");
  }
  return node;
}

void ConfigMap::report_unknown() const {
  for (const YamlEntry& entry : node_.node_->entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    if (node_.problems_->full()) {
      node_.problems_->add({}, "", "");
      continue;
    }
    node_.problems_->add(
        entry.value.where(), node_.path_,
        fmt::format("unknown key {}{}", in_quotes(entry.key), name_hint(entry.key, known_)));
  }
}

struct ConfigDocument::Tree {
  std::deque<YamlSource> sources;  // the file, then the overrides; nodes point to them
  std::optional<YamlNode> root;
};

ConfigDocument::ConfigDocument(const std::filesystem::path& file,
                               std::span<const std::string> overrides, Problems& problems,
                               std::string_view prefix)
    : problems_(problems), prefix_(prefix), tree_(std::make_unique<Tree>()) {
  try {
    // A little over the limit is read, for the parser to say how large the file is.
    parse(file, read_text_file(file, 8 * kMostYamlBytes), overrides);
  } catch (const IoError& error) {
    problems.add({}, "", error.what());
  }
}

ConfigDocument::ConfigDocument(const std::filesystem::path& file, std::string text,
                               std::span<const std::string> overrides, Problems& problems,
                               std::string_view prefix)
    : problems_(problems), prefix_(prefix), tree_(std::make_unique<Tree>()) {
  parse(file, std::move(text), overrides);
}

ConfigDocument::~ConfigDocument() = default;

void ConfigDocument::parse(const std::filesystem::path& file, std::string text,
                           std::span<const std::string> overrides) {
  problems_.expect(file.string());
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  tree_->sources.push_back({file.string(), std::move(text), file.parent_path(), true});
  tree_->root = parse_yaml(tree_->sources.front(), problems_);
  if (!tree_->root) return;
  for (const std::string& override_text : overrides) apply(override_text);
  if (tree_->root->kind == Kind::kNull) {
    problems_.add({file.string(), 0, 0}, "", "is empty");
    tree_->root.reset();
  }
}

void ConfigDocument::apply(const std::string& override_text) {
  const std::size_t equals = override_text.find('=');
  const std::string shown = "--set " + in_quotes(override_text);
  if (equals == std::string::npos) {
    problems_.add({shown, 0, 0}, "", "has no '='; write path.to.key=value");
    return;
  }
  std::string_view path = std::string_view(override_text).substr(0, equals);
  if (path.starts_with(prefix_)) path.remove_prefix(prefix_.size());
  tree_->sources.push_back({shown, override_text.substr(equals + 1), {}, false});
  apply_override(*tree_->root, path, tree_->sources.back(), problems_);
}

ConfigNode ConfigDocument::root() const {
  return {tree_->root ? &*tree_->root : nullptr, "", &problems_};
}

}  // namespace varve
