#include <utf8proc.h>

#include <algorithm>

#include "common/error.h"
#include "coordinator/jobs/results.h"

namespace varve {
namespace {

struct Character {
  std::string text;  // in UTF-8; empty for what is not shown
  std::size_t width = 0;
};

Character invalid() {
  return {"\xEF\xBF\xBD", 1};
}

// Takes the first character off `rest`.
Character take(std::string_view& rest) {
  utf8proc_int32_t code = 0;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(rest.data());
  const utf8proc_ssize_t size =
      utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(rest.size()), &code);
  if (size <= 0) {
    rest.remove_prefix(1);
    return invalid();
  }
  const std::string_view text = rest.substr(0, static_cast<std::size_t>(size));
  rest.remove_prefix(text.size());
  const utf8proc_category_t category = utf8proc_category(code);
  if (code == '\n' || code == '\t' || code == '\r' || category == UTF8PROC_CATEGORY_ZS) {
    return {" ", 1};
  }
  // Controls could move the cursor; format characters could turn the line around.
  if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF) return {};
  return {std::string(text), static_cast<std::size_t>(utf8proc_charwidth(code))};
}

// The characters of one line, white space folded.
std::vector<Character> line_of(std::string_view text, std::size_t most) {
  std::vector<Character> line;
  while (!text.empty() && line.size() < most) {
    Character c = take(text);
    if (c.text.empty() || (c.text == " " && (line.empty() || line.back().text == " "))) continue;
    line.push_back(std::move(c));
  }
  if (text.empty() && !line.empty() && line.back().text == " ") line.pop_back();
  return line;
}

std::string padded(std::string_view text, std::size_t width) {
  std::string line;
  std::size_t used = 0;
  for (const Character& c : line_of(text, text.size())) {
    line += c.text;
    used += c.width;
  }
  return line + std::string(width - std::min(width, used), ' ');
}

std::string speed(const Timings& t) {
  if (t.predicted_ms <= 0) return "-";
  return fmt::format("{:.1f}", 1e3 * static_cast<double>(t.predicted_n) / t.predicted_ms);
}

}  // namespace

std::string shortened(std::string_view text, std::size_t width) {
  // Four bytes a column is more than any text needs that is not padded with marks.
  const std::vector<Character> line = line_of(text, 4 * width + 1);
  std::size_t columns = 0;
  for (const Character& c : line) columns += c.width;
  const bool cut = columns > width || line.size() > 4 * width;
  const std::size_t room = cut ? width - std::min<std::size_t>(width, 1) : width;
  std::string out;
  std::size_t used = 0;
  for (const Character& c : line) {
    if (used + c.width > room) break;
    out += c.text;
    used += c.width;
  }
  if (cut && width > 0) out += "…";
  return out;
}

std::string results_table(std::span<const QuestionResult> results, std::size_t width) {
  constexpr std::size_t kWidestId = 16;
  std::size_t id_width = 2;
  for (const QuestionResult& r : results) {
    id_width = std::max(id_width, std::min(kWidestId, r.id.size()));
  }
  const auto row = [&](std::string_view id, std::string_view finish, std::string_view tokens,
                       std::string_view rate, std::string_view answer) {
    const std::string head =
        fmt::format("{}  {:<6}  {:>6}  {:>7}  ", padded(shortened(id, id_width), id_width), finish,
                    tokens, rate);
    const std::size_t used = id_width + 27;
    return head + shortened(answer, width > used ? width - used : 0) + "\n";
  };
  std::string text = row("id", "finish", "tokens", "tok/s", "answer");
  for (const QuestionResult& r : results) {
    text += row(r.id, r.finish_reason, fmt::format("{}", r.timings.predicted_n), speed(r.timings),
                r.answer);
  }
  return text;
}

}  // namespace varve
