#include "common/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>

#include "common/error.h"

namespace varve {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array kByteUnits = {
    Unit{"b", 1},
    Unit{"kib", 1ULL << 10},
    Unit{"mib", 1ULL << 20},
    Unit{"gib", 1ULL << 30},
    Unit{"tib", 1ULL << 40},
    Unit{"kb", 1'000},
    Unit{"mb", 1'000'000},
    Unit{"gb", 1'000'000'000},
    Unit{"tb", 1'000'000'000'000},
};
constexpr std::array kTimeUnits = {
    Unit{"ns", 1},
    Unit{"us", 1'000},
    Unit{"ms", 1'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"min", 60'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"h", 3'600'000'000'000},
};
constexpr std::array kBytesShown = {
    Unit{"B", 1},
    Unit{"KiB", 1ULL << 10},
    Unit{"MiB", 1ULL << 20},
    Unit{"GiB", 1ULL << 30},
    Unit{"TiB", 1ULL << 40},
    Unit{"PiB", 1ULL << 50},
};
constexpr std::array kShortTimesShown = {
    Unit{"ns", 1},
    Unit{"us", 1'000},
    Unit{"ms", 1'000'000},
    Unit{"s", 1'000'000'000},
};
constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kDecimals = 6;  // 10^6 times the largest unit still fits 64 bits

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// One "12.5 GiB" at the front of a text. Every step returns false when the text is malformed, and
/// sets `overflow` when the value does not fit.
class Term {
 public:
  Term(std::string_view& rest, std::span<const Unit> units) : rest_(rest), units_(units) {}

  bool read() {
    if (!read_number()) return false;
    skip_spaces();
    std::string name;
    for (; !rest_.empty() && is_letter(rest_.front()); rest_.remove_prefix(1)) {
      name += units_.front().name == "b" ? static_cast<char>(rest_.front() | 0x20) : rest_.front();
    }
    skip_spaces();
    if (name.empty()) return scale_ == 1 && set_value(1, true);
    const auto unit =
        std::find_if(units_.begin(), units_.end(), [&](const Unit& u) { return u.name == name; });
    return unit != units_.end() && set_value(unit->factor, false);
  }

  std::uint64_t value = 0;
  bool overflow = false;
  bool bare = false;  // no unit was written

 private:
  bool read_number() {
    if (rest_.empty() || !is_digit(rest_.front())) return false;
    for (; !rest_.empty() && is_digit(rest_.front()); rest_.remove_prefix(1)) {
      const auto digit = static_cast<std::uint64_t>(rest_.front() - '0');
      overflow = overflow || whole_ > (kMost - digit) / 10;
      if (!overflow) whole_ = whole_ * 10 + digit;
    }
    if (rest_.empty() || rest_.front() != '.') return true;
    rest_.remove_prefix(1);
    std::size_t count = 0;
    for (; !rest_.empty() && is_digit(rest_.front()); rest_.remove_prefix(1), ++count) {
      fraction_ = fraction_ * 10 + static_cast<std::uint64_t>(rest_.front() - '0');
      scale_ *= 10;
      if (count == kDecimals) return false;
    }
    return count > 0;
  }

  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }

  bool set_value(std::uint64_t factor, bool without_unit) {
    bare = without_unit;
    const std::uint64_t part = fraction_ * factor / scale_;
    overflow = overflow || whole_ > (kMost - part) / factor;
    if (!overflow) value = whole_ * factor + part;
    return true;
  }

  std::string_view& rest_;
  std::span<const Unit> units_;
  std::uint64_t whole_ = 0;
  std::uint64_t fraction_ = 0;
  std::uint64_t scale_ = 1;
};

std::string shown(std::string_view text) {
  std::string out(text.substr(0, 40));
  return text.size() > 40 ? out + "..." : out;
}

std::string decimals(std::uint64_t value, std::uint64_t factor) {
  std::string text =
      fmt::format("{:.2f}", static_cast<double>(value) / static_cast<double>(factor));
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string scaled(std::uint64_t value, std::span<const Unit> units) {
  std::size_t i = 0;
  while (i + 1 < units.size() && value >= units[i + 1].factor) ++i;
  // What rounds up to the next unit is shown in it: 1 GiB, never 1024 MiB.
  if (i + 1 < units.size() &&
      decimals(value, units[i].factor) == decimals(units[i + 1].factor, units[i].factor)) {
    return fmt::format("1 {}", units[i + 1].name);
  }
  return fmt::format("{} {}", decimals(value, units[i].factor), units[i].name);
}

std::string minutes_and_hours(std::uint64_t seconds) {
  const auto pair = [](std::uint64_t a, const char* unit_a, std::uint64_t b, const char* unit_b) {
    return b == 0 ? fmt::format("{} {}", a, unit_a)
                  : fmt::format("{} {} {} {}", a, unit_a, b, unit_b);
  };
  if (seconds < 3600) return pair(seconds / 60, "min", seconds % 60, "s");
  const std::uint64_t minutes = (seconds + 30) / 60;
  return pair(minutes / 60, "h", minutes % 60, "min");
}

}  // namespace

Bytes parse_bytes(std::string_view text) {
  std::string_view rest = text;
  Term term(rest, kByteUnits);
  if (!term.read() || !rest.empty()) {
    throw ConfigError(fmt::format(
        "'{}' is not a size; write a number and a unit, such as 512MiB or 8GiB", shown(text)));
  }
  if (term.overflow) throw ConfigError(fmt::format("'{}' is too large a size", shown(text)));
  return {term.value};
}

Duration parse_duration(std::string_view text) {
  const auto most = static_cast<std::uint64_t>(Duration::max().count());
  std::string_view rest = text;
  std::uint64_t total = 0;
  bool overflow = false;
  do {
    Term term(rest, kTimeUnits);
    if (!term.read() || (term.bare && (term.value != 0 || term.overflow || !rest.empty()))) {
      throw ConfigError(fmt::format(
          "'{}' is not a duration; write a number and a unit, such as 250ms, 3s or 10min",
          shown(text)));
    }
    overflow = overflow || term.overflow || term.value > most - total;
    if (!overflow) total += term.value;
  } while (!rest.empty());
  if (overflow) throw ConfigError(fmt::format("'{}' is too long a duration", shown(text)));
  return Duration(static_cast<Duration::rep>(total));
}

std::string to_string(Bytes bytes) {
  return scaled(bytes.count, kBytesShown);
}

std::string to_string(Duration duration) {
  const Duration::rep count = duration.count();
  // Unsigned, since the most negative count has no positive counterpart.
  const std::uint64_t size = count < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(count)
                                       : static_cast<std::uint64_t>(count);
  const std::uint64_t seconds =
      size / 1'000'000'000 + (size % 1'000'000'000 >= 500'000'000 ? 1 : 0);
  const std::string text =
      seconds < 60 ? scaled(size, kShortTimesShown) : minutes_and_hours(seconds);
  return count < 0 ? "-" + text : text;
}

}  // namespace varve
