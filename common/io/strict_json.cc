#include "common/io/strict_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "common/error.h"
#include "common/in_quotes.h"

namespace varve {
namespace {

using nlohmann::json;

// Watches the parser from its callback: which objects and lists are open, which keys they had.
class Watch {
 public:
  Watch(const std::string& path, std::size_t max_depth) : path_(path), max_depth_(max_depth) {}

  bool operator()(json::parse_event_t event, const json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        enter();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        open_.pop_back();
        break;
      case json::parse_event_t::key:
        add_key(value.get_ref<const std::string&>());
        break;
      case json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  struct Level {
    std::unordered_set<std::string> keys;
    std::string last;
  };

  void enter() {
    if (open_.size() == max_depth_) {
      throw IoError(
          fmt::format("{}: {} is nested deeper than {} levels", path_, name(), max_depth_));
    }
    open_.emplace_back();
  }

  void add_key(const std::string& key) {
    open_.back().last = key;
    if (!open_.back().keys.insert(key).second) {
      throw IoError(
          fmt::format("{}: key {} stands twice in one object; once would be right", path_, name()));
    }
  }

  std::string name() const {
    std::string dotted;
    for (const Level& level : open_) {
      if (level.last.empty()) continue;  // a list
      dotted += (dotted.empty() ? "" : ".") + level.last;
    }
    return in_quotes(dotted);
  }

  const std::string& path_;
  std::size_t max_depth_;
  std::vector<Level> open_;
};

// "[json.exception.parse_error.101] parse error at line 2, column 7: syntax error ..." without what
// only programmers want, and cut: it quotes the last token, which may be large.
std::string reason(const json::parse_error& error) {
  std::string_view text = error.what();
  constexpr std::string_view kLead = "parse error ";
  if (const std::size_t at = text.find(kLead); at != text.npos) {
    text.remove_prefix(at + kLead.size());
  }
  return escaped(text, 300);
}

}  // namespace

json parse_strict_json(std::string_view text, const std::string& path, std::size_t max_depth) {
  Watch watch(path, max_depth);
  try {
    return json::parse(text, [&watch](int, json::parse_event_t event, const json& value) {
      return watch(event, value);
    });
  } catch (const json::parse_error& error) {
    throw IoError(fmt::format("{}: is not JSON: {}", path, reason(error)));
  } catch (const json::out_of_range& error) {
    throw IoError(fmt::format("{}: is not JSON: a number is out of range", path));
  }
}

}  // namespace varve
