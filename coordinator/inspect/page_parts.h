// The page's style and script, which are the same for every run.
#pragma once

#include <string_view>

namespace varve {

extern const std::string_view kPageStyle;   // CSS
extern const std::string_view kPageScript;  // JavaScript; reads the JSON in the element "data"

}  // namespace varve
