#include "common/model/config_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "common/error.h"

namespace varve {

void ConfigReport::add(std::string_view key, std::string_view problem) {
  problems_.push_back(fmt::format("{}: {}", key, problem));
}

void ConfigReport::throw_if_any() const {
  if (problems_.empty()) return;
  if (problems_.size() == 1) throw IoError(fmt::format("{}: {}", path_, problems_[0]));
  throw IoError(
      fmt::format("{}: {} problems:\n  {}", path_, problems_.size(), fmt::join(problems_, "\n  ")));
}

void FieldReader::report(std::string_view key, std::string_view problem) {
  report_.add(fmt::format("{}{}", prefix_, key), problem);
}

template <class T>
std::optional<T> FieldReader::take(const Found<T>& found, std::string_view key,
                                   std::string_view wanted, bool required) {
  if (!found.present) {
    if (required) report(key, fmt::format("is missing; {} would be right", wanted));
  } else if (!found.value) {
    report(key, fmt::format("is {}; {} would be right", found.text, wanted));
  }
  return found.value;
}

std::size_t FieldReader::size(std::string_view key, std::size_t most,
                              std::optional<std::size_t> fallback) {
  const Found<std::uint64_t> found = source_.u64(key);
  const std::string wanted = fmt::format("an integer from 1 to {}", most);
  const auto value = take(found, key, wanted, !fallback);
  if (!value) return found.present ? 0 : fallback.value_or(0);
  if (*value >= 1 && *value <= most) return *value;
  report(key, fmt::format("is {}; {} would be right", *value, wanted));
  return 0;
}

std::optional<std::size_t> FieldReader::optional_size(std::string_view key, std::size_t most) {
  const std::string wanted = fmt::format("an integer from 0 to {}", most);
  const auto value = take(source_.u64(key), key, wanted, false);
  if (!value || *value == 0) return std::nullopt;
  if (*value <= most) return *value;
  report(key, fmt::format("is {}; {} would be right", *value, wanted));
  return std::nullopt;
}

double FieldReader::positive(std::string_view key, double most, std::optional<double> fallback) {
  const Found<double> found = source_.f64(key);
  const std::string wanted = fmt::format("a number above 0, at most {}", most);
  const auto value = take(found, key, wanted, !fallback);
  if (!value) return found.present ? 0 : fallback.value_or(0);
  if (std::isfinite(*value) && *value > 0 && *value <= most) return *value;
  report(key, fmt::format("is {}; {} would be right", *value, wanted));
  return 0;
}

std::optional<bool> FieldReader::boolean(std::string_view key) {
  return take(source_.boolean(key), key, "true or false", false);
}

std::optional<std::string> FieldReader::string(std::string_view key) {
  return take(source_.string(key), key, "a string", false);
}

namespace {

void check_heads(const ModelConfig& c, const ConfigKeys& keys, ConfigReport& report) {
  if (c.q_heads == 0 || c.kv_heads == 0) return;
  if (c.q_heads % c.kv_heads != 0) {
    report.add(keys.kv_heads, fmt::format("is {}, which does not divide the {} heads of {}",
                                          c.kv_heads, c.q_heads, keys.q_heads));
  }
}

void check_rope(const ModelConfig& c, const ConfigKeys& keys, ConfigReport& report) {
  if (c.head_dim % 2 != 0) {
    report.add(
        keys.head_dim,
        fmt::format("is {}; an even number would be right: elements rotate in pairs", c.head_dim));
  }
  if (c.head_dim != 0 && (c.rope_dims % 2 != 0 || c.rope_dims > c.head_dim)) {
    report.add(keys.rope_dims,
               fmt::format("gives {} rotated elements; an even number up to the {} of a head "
                           "would be right",
                           c.rope_dims, c.head_dim));
  }
}

void check_scaling(const ModelConfig& c, const ConfigKeys& keys, ConfigReport& report) {
  if (!c.rope_factors.empty() && c.rope_factors.size() != c.rope_dims / 2) {
    report.add(keys.rope_factors, fmt::format("has {} elements; one per rotated pair, {}, would be "
                                              "right",
                                              c.rope_factors.size(), c.rope_dims / 2));
  }
  const auto is_divisor = [](float f) { return std::isfinite(f) && f > 0; };
  if (!std::ranges::all_of(c.rope_factors, is_divisor)) {
    report.add(keys.rope_factors, "has elements that are not finite and above 0");
  }
}

}  // namespace

void check_relations(const ModelConfig& config, const ConfigKeys& keys, ConfigReport& report) {
  check_heads(config, keys, report);
  check_rope(config, keys, report);
  check_scaling(config, keys, report);
}

}  // namespace varve
