#include "common/config/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "common/error.h"

namespace varve {
namespace {

constexpr std::size_t kLongestCompared = 48;  // bytes of a name that is compared with others

std::string format_where(const Where& where) {
  if (where.line == 0) return where.source;
  if (where.column == 0) return fmt::format("{}:{}", where.source, where.line);
  return fmt::format("{}:{}:{}", where.source, where.line, where.column);
}

std::string folded(std::string_view name) {
  std::string out(name.substr(0, kLongestCompared));
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    if (c == '-' || c == ' ') c = '_';
  }
  return out;
}

/// Levenshtein distance, with a swap of neighbours counted as one step.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j]) {
        row[j + 1] = std::min(row[j + 1], before[j - 1] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

void Problems::add(const Where& where, std::string_view path, std::string_view text) {
  if (full()) {
    ++dropped_;
    return;
  }
  std::string line = format_where(where);
  for (const std::string_view part : {path, text}) {
    if (!part.empty()) line += (line.empty() ? "" : ": ") + std::string(part);
  }
  problems_.push_back({source_index(where.source), where, std::move(line)});
}

std::size_t Problems::source_index(const std::string& source) {
  auto found = std::find(sources_.begin(), sources_.end(), source);
  if (found == sources_.end()) found = sources_.insert(sources_.end(), source);
  return static_cast<std::size_t>(found - sources_.begin());
}

std::vector<std::string> Problems::lines() const {
  std::vector<const Problem*> order;
  for (const Problem& problem : problems_) order.push_back(&problem);
  const auto key = [](const Problem* p) {
    return std::tuple(p->source, p->where.line, p->where.column);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](const Problem* a, const Problem* b) { return key(a) < key(b); });
  std::vector<std::string> lines;
  for (const Problem* problem : order) lines.push_back(problem->text);
  if (dropped_ > 0) lines.push_back(fmt::format("and {} more problems", dropped_));
  return lines;
}

void Problems::throw_if_any() const {
  if (!empty()) throw ConfigError(fmt::format("{}", fmt::join(lines(), "\n")));
}

std::string_view nearest_name(std::string_view wrong, std::span<const std::string_view> known) {
  const std::string a = folded(wrong);
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, a.size() / 3) + 1;
  for (const std::string_view name : known) {
    const std::string b = folded(name);
    const bool beginning = a.size() >= 3 && b.starts_with(a);
    const std::size_t distance = beginning ? 1 : edit_distance(a, b);
    if (distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

std::string name_hint(std::string_view wrong, std::span<const std::string_view> known) {
  const std::string_view near = nearest_name(wrong, known);
  return fmt::format("{}; known: {}", near.empty() ? "" : fmt::format("; did you mean '{}'?", near),
                     fmt::join(known, ", "));
}

}  // namespace varve
