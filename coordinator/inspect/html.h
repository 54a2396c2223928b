// Text of documents, models and users in a page: it can neither become markup nor end a script.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve {

/// For element content and quoted attributes. Ill-formed UTF-8 and control characters but line
/// feeds and tabs become U+FFFD.
std::string escaped_html(std::string_view text);

/// JSON (in UTF-8) for the content of a script element: the same value, without <, > and &.
std::string escaped_json(std::string_view json);

/// With commas between thousands.
std::string with_commas(std::uint64_t number);

}  // namespace varve
