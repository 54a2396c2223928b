// A value in a JSON document with its place, so that a reader's errors say where. In source files
// alone: it includes the JSON library.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/error.h"
#include "common/in_quotes.h"

namespace varve {

/// A view: the document must outlive it. Each accessor throws an IoError "FILE: model.vocab: is a
/// string; an object would be right" for a value of another type.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, std::string file, std::string path = "")
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& file() const { return file_; }
  /// "FILE: model.vocab", for messages.
  std::string where() const { return path_.empty() ? file_ : file_ + ": " + path_; }

  [[noreturn]] void fail(std::string_view what) const {
    throw IoError(fmt::format("{}: {}", where(), what));
  }

  /// The member, unless it is missing or null. This must be an object.
  std::optional<JsonNode> find(const std::string& key) const {
    const auto at = object().find(key);
    if (at == object().end() || at->is_null()) return std::nullopt;
    return JsonNode(*at, file_, path_.empty() ? key : path_ + "." + key);
  }
  JsonNode get(const std::string& key) const {
    auto member = find(key);
    if (!member) fail(fmt::format("has no {}", in_quotes(key)));
    return *std::move(member);
  }
  JsonNode element(std::size_t index) const {
    return JsonNode((*value_)[index], file_, fmt::format("{}[{}]", path_, index));
  }

  const nlohmann::json& object() const { return expect(value_->is_object(), "an object"); }
  const nlohmann::json& list() const { return expect(value_->is_array(), "a list"); }
  const std::string& string() const {
    return expect(value_->is_string(), "a string").get_ref<const std::string&>();
  }
  bool boolean() const { return expect(value_->is_boolean(), "true or false").get<bool>(); }
  bool boolean_or(const std::string& key, bool absent) const {
    const auto member = find(key);
    return member ? member->boolean() : absent;
  }
  /// A token's id: at least 0, and not so large that a table of ids would not fit.
  std::int32_t id() const {
    constexpr std::int64_t kLargest = (1 << 24) - 1;
    const auto& number = expect(value_->is_number_integer(), "an integer");
    if (number.is_number_unsigned() ? number.get<std::uint64_t>() > std::uint64_t{kLargest}
                                    : number.get<std::int64_t>() < 0) {
      fail(fmt::format("is {}; an id from 0 to {} would be right", number.dump(), kLargest));
    }
    return number.get<std::int32_t>();
  }

 private:
  const nlohmann::json& expect(bool holds, std::string_view wanted) const {
    if (!holds) fail(fmt::format("is {}; {} would be right", value_->type_name(), wanted));
    return *value_;
  }

  const nlohmann::json* value_;
  std::string file_;
  std::string path_;
};

}  // namespace varve
