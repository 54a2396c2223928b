#include "common/policy/budget.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/units.h"

namespace varve {
namespace {

constexpr std::uint64_t kMostTokens = std::uint64_t{1} << 32U;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

[[noreturn]] void refuse(std::string_view text) {
  throw ConfigError(
      fmt::format("must be a number of tokens (512), a share of the document (20%) "
                  "or a size (64MiB), is {}",
                  in_quotes(text)));
}

Budget parse_percent(std::string_view text) {
  const std::optional<double> value = number<double>(trimmed(text.substr(0, text.size() - 1)));
  if (!value || !std::isfinite(*value)) refuse(text);
  if (*value <= 0 || *value > 100) {
    throw ConfigError(fmt::format("must be more than 0% and at most 100%, is {}", text));
  }
  return {Budget::Kind::kPercent, *value};
}

Budget parse_size(std::string_view text) {
  Bytes bytes;
  try {
    bytes = parse_bytes(text);
  } catch (const ConfigError&) {
    refuse(text);
  }
  if (bytes.count == 0) throw ConfigError(fmt::format("must be more than 0 bytes, is {}", text));
  return {Budget::Kind::kBytes, static_cast<double>(bytes.count)};
}

// In a unit only where that says all of it.
std::string exact_size(Bytes bytes) {
  const std::string text = to_string(bytes);
  return parse_bytes(text) == bytes ? text : fmt::format("{} B", bytes.count);
}

}  // namespace

Budget parse_budget(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) refuse(text);
  if (text.back() == '%') return parse_percent(text);
  if (text.find_first_not_of("0123456789") != std::string_view::npos) return parse_size(text);
  const std::optional<std::uint64_t> rows = number<std::uint64_t>(text);
  if (!rows || *rows == 0 || *rows > kMostTokens) {
    throw ConfigError(fmt::format("must be between 1 and {} tokens, is {}", kMostTokens, text));
  }
  return {Budget::Kind::kTokens, static_cast<double>(*rows)};
}

std::string to_string(const Budget& budget) {
  switch (budget.kind) {
    case Budget::Kind::kAll:
      return "all";
    case Budget::Kind::kTokens:
      return fmt::format("{:.0f}", budget.value);
    case Budget::Kind::kPercent:
      return fmt::format("{}%", budget.value);
    case Budget::Kind::kBytes:
      return exact_size({static_cast<std::uint64_t>(budget.value)});
  }
  VARVE_CHECK(false, "budget kind {}", static_cast<int>(budget.kind));
  return {};
}

std::size_t share_of(const Budget& budget, std::size_t rows) {
  VARVE_CHECK(budget.kind != Budget::Kind::kBytes, "bytes {} as a share of rows", budget.value);
  if (budget.kind == Budget::Kind::kAll) return rows;
  double wanted = budget.value;
  // The product of two doubles may fall just short of the whole number that it should be.
  if (budget.kind == Budget::Kind::kPercent) {
    wanted = std::floor(budget.value * static_cast<double>(rows) / 100 + 1e-9);
  }
  return std::min(rows, static_cast<std::size_t>(wanted));
}

}  // namespace varve
