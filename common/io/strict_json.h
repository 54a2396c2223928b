// JSON from files that nobody has checked: what the parser would let pass silently is refused.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace varve {

/// Parses `text`, the whole content of `path`. IoError names the path and line and column of a
/// syntax error; the dotted name of a key that stands twice in one object (nlohmann-json keeps the
/// last, other readers the first); or where nesting passes `max_depth` objects and lists.
nlohmann::json parse_strict_json(std::string_view text, const std::string& path,
                                 std::size_t max_depth = 64);

}  // namespace varve
