// Reads HTML as strictly as XML, with what HTML has more: elements without an end, and scripts and
// styles whose content is text up to their end tag.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct HtmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;  // as they stand, not unescaped
  std::string raw;                                // content of a script or style
};

struct HtmlReading {
  std::string problem;  // the first; empty: well-formed
  std::vector<HtmlElement> elements;
  std::string text;  // of all elements but scripts and styles, unescaped
};

HtmlReading read_html(std::string_view html);

}  // namespace varve
