// Typed reading of a configuration. A node knows where it was written and its dotted path; what is
// wrong goes into one Problems, and reading goes on. Fields are named once, where they are read:
//
//   node.read_map([&](ConfigMap& map) {
//     map.at("chunk").read(out.chunk, 1, 65536);   // keeps its default when absent
//     map.need("model").read_path(out.model);      // a problem when absent
//   });                                            // keys that nobody named are problems
//
// A read leaves its output alone when the value is absent or wrong, and says whether it was set.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/config/problems.h"
#include "common/units.h"

namespace varve {

struct YamlNode;
class ConfigMap;

/// A value of an enumeration, as users write it.
template <class E>
struct Named {
  std::string_view name;
  E value;
};

/// One value of the file, or the place where it would stand. Valid as long as its ConfigDocument.
class ConfigNode {
 public:
  ConfigNode(const YamlNode* node, std::string path, Problems* problems)
      : node_(node), path_(std::move(path)), problems_(problems) {}

  bool exists() const { return node_ != nullptr; }
  bool is_map() const;
  bool is_list() const;
  /// A single value; empty is none.
  bool is_scalar() const;
  const std::string& path() const { return path_; }
  Where where() const;
  /// The folder that a relative path written here starts from.
  std::filesystem::path base() const;
  void problem(std::string_view text) const;
  Problems& problems() const { return *problems_; }

  bool read(bool& out) const;
  /// Any single value: `id: 7` is the text "7".
  bool read(std::string& out) const;
  template <std::unsigned_integral T>
  bool read(T& out, std::type_identity_t<T> low, std::type_identity_t<T> high) const {
    std::uint64_t value = 0;
    if (!read_integer(value, low, high, "")) return false;
    out = static_cast<T>(value);
    return true;
  }
  template <std::floating_point T>
  bool read(T& out, double low, double high) const {
    double value = 0;
    if (!read_number(value, low, high)) return false;
    out = static_cast<T>(value);
    return true;
  }
  bool read(Bytes& out, Bytes low, Bytes high) const { return read_bytes(out, low, high, ""); }
  /// Whole milliseconds; what is finer is dropped.
  bool read(std::chrono::milliseconds& out, std::chrono::milliseconds low,
            std::chrono::milliseconds high) const;
  template <class E, std::size_t N>
  bool read(E& out, const std::array<Named<E>, N>& values) const {
    std::array<std::string_view, N> names;
    for (std::size_t i = 0; i < N; ++i) names[i] = values[i].name;
    const std::optional<std::size_t> index = read_name(names);
    if (index) out = values[*index].value;
    return index.has_value();
  }
  /// "auto" is nothing, and otherwise the value.
  template <std::unsigned_integral T>
  bool read_or_auto(std::optional<T>& out, std::type_identity_t<T> low,
                    std::type_identity_t<T> high) const {
    std::uint64_t value = 0;
    if (is_auto()) {
      out.reset();
      return true;
    }
    if (!read_integer(value, low, high, "auto or ")) return false;
    out = static_cast<T>(value);
    return true;
  }
  bool read_or_auto(std::optional<Bytes>& out, Bytes low, Bytes high) const;

  /// The index of the text in `names`; a problem with the nearest one otherwise.
  std::optional<std::size_t> read_name(std::span<const std::string_view> names) const;
  /// A path that is not empty: `~` and `~/` are the home folder, a relative one starts from the
  /// file's folder, or from the working folder when it was given by an override.
  bool read_path(std::filesystem::path& out) const;
  bool read_map(const std::function<void(ConfigMap&)>& fields) const;
  /// The items of a list, or none.
  std::vector<ConfigNode> read_list() const;
  bool is_auto() const;
  /// Of a map, in the order of the file; none otherwise.
  std::vector<std::string_view> keys() const;
  /// The value of a map's key, absent if it is not there. Does not make the key a known one.
  ConfigNode child(std::string_view key) const;

 private:
  friend class ConfigMap;
  /// False without a problem when absent, false with one when there is no single value.
  bool check_scalar(std::string_view expected) const;
  bool read_integer(std::uint64_t& out, std::uint64_t low, std::uint64_t high,
                    std::string_view prefix) const;
  bool read_number(double& out, double low, double high) const;
  bool read_bytes(Bytes& out, Bytes low, Bytes high, std::string_view prefix) const;
  void wrong(std::string_view expected) const;

  const YamlNode* node_;
  std::string path_;
  Problems* problems_;
};

/// The entries of a map while it is being read.
class ConfigMap {
 public:
  explicit ConfigMap(const ConfigNode& node) : node_(node) {}

  /// The value of `key`, absent if it is not there.
  ConfigNode at(std::string_view key);
  /// The same, and a problem if it is not there.
  ConfigNode need(std::string_view key);

 private:
  friend class ConfigNode;
  void report_unknown() const;

  const ConfigNode& node_;
  std::vector<std::string_view> known_;
};

/// A YAML text with overrides ("a.b=value", as after --set) applied to it. Their paths may begin
/// with `prefix` ("cluster."), which tells them from those of another file.
class ConfigDocument {
 public:
  /// Reads the file; what is wrong with it or with the overrides goes into `problems`, which must
  /// outlive the document.
  ConfigDocument(const std::filesystem::path& file, std::span<const std::string> overrides,
                 Problems& problems, std::string_view prefix = "");
  /// `text` as if it stood in `file`, which is not touched.
  ConfigDocument(const std::filesystem::path& file, std::string text,
                 std::span<const std::string> overrides, Problems& problems,
                 std::string_view prefix = "");
  ~ConfigDocument();
  ConfigDocument(const ConfigDocument&) = delete;
  ConfigDocument& operator=(const ConfigDocument&) = delete;

  /// Absent if the text could not be read, so that reading it adds no problems.
  ConfigNode root() const;

 private:
  struct Tree;
  void parse(const std::filesystem::path& file, std::string text,
             std::span<const std::string> overrides);
  void apply(const std::string& override_text);

  Problems& problems_;
  std::string prefix_;
  std::unique_ptr<Tree> tree_;
};

}  // namespace varve
