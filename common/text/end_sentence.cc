#include "common/text/end_sentence.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace varve {
namespace {

using namespace std::string_view_literals;  // NOLINT(google-build-using-namespace)

constexpr std::array kWhite = {" "sv, "\t"sv, "\r"sv, "\n"sv, "\f"sv, "\v"sv, "\u00a0"sv};
constexpr std::array kClosing = {"\""sv,     "'"sv,      ")"sv,      "]"sv,      "}"sv,
                                 "*"sv,      "_"sv,      "`"sv,      "\u2019"sv, "\u201d"sv,
                                 "\u00bb"sv, "\u300d"sv, "\u300f"sv, "\uff09"sv};
constexpr std::array kEnds = {"."sv,      "!"sv,      "?"sv,      ":"sv,      ";"sv,
                              "\u2026"sv, "\u3002"sv, "\uff01"sv, "\uff1f"sv, "\uff1b"sv,
                              "\uff1a"sv, "\u061f"sv, "\u06d4"sv, "\u0964"sv};

// `text` without what any of `endings` matches at its end, as often as they do.
template <std::size_t N>
std::string_view without(std::string_view text, const std::array<std::string_view, N>& endings) {
  const auto matching = [&] {
    return std::find_if(endings.begin(), endings.end(),
                        [&](std::string_view ending) { return text.ends_with(ending); });
  };
  for (auto found = matching(); found != endings.end(); found = matching()) {
    text.remove_suffix(found->size());
  }
  return text;
}

}  // namespace

void end_sentence(std::string& text) {
  const std::string_view solid = without(text, kWhite);
  if (solid.empty()) return;
  const std::string_view sentence = without(solid, kClosing);
  const bool ends = std::any_of(kEnds.begin(), kEnds.end(), [&](std::string_view ending) {
    return sentence.ends_with(ending);
  });
  if (ends) return;
  text.resize(solid.size());
  text += '.';
}

}  // namespace varve
