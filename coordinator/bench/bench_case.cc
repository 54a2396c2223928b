#include "coordinator/bench/bench_case.h"

#include <algorithm>
#include <charconv>

#include "common/error.h"

namespace varve {
namespace {

void add(BenchCase c, std::vector<BenchCase>& cases) {
  if (c.tokens > 0 && std::find(cases.begin(), cases.end(), c) == cases.end()) cases.push_back(c);
}

std::string problem_of(const BenchCase& c, std::string_view model, std::size_t context,
                       std::size_t chunk) {
  const std::size_t rows = std::size_t{c.depth} + c.tokens;
  if (rows > context) {
    return fmt::format("{} needs {} tokens of context, and {} has {}", name_of(c), rows, model,
                       context);
  }
  if (c.sequences > chunk) {
    return fmt::format("{} needs steps of {} rows, and --chunk is {}", name_of(c), c.sequences,
                       chunk);
  }
  return {};
}

}  // namespace

std::string name_of(const BenchCase& c) {
  std::string name =
      fmt::format("{}{}", c.kind == BenchCase::Kind::kPrompt ? "pp" : "tg", c.tokens);
  if (c.sequences > 1) name += fmt::format(" b{}", c.sequences);
  if (c.depth > 0) name += fmt::format(" @ d{}", c.depth);
  return name;
}

std::vector<BenchCase> bench_cases(const BenchLists& lists) {
  std::vector<BenchCase> cases;
  std::vector<std::uint32_t> depths = lists.depths;
  std::sort(depths.begin(), depths.end());  // so that each depth is read once
  for (const std::uint32_t depth : depths) {
    for (const std::uint32_t tokens : lists.prompts) {
      add({BenchCase::Kind::kPrompt, tokens, depth, 1}, cases);
    }
    for (const std::uint32_t tokens : lists.generates) {
      for (const std::uint32_t sequences : lists.sequences) {
        add({BenchCase::Kind::kGenerate, tokens, depth, sequences}, cases);
      }
    }
  }
  if (cases.empty()) {
    throw ConfigError("-p 0 and -n 0 leave nothing to measure; give one of them a count of tokens");
  }
  return cases;
}

std::vector<std::uint32_t> parse_counts(std::string_view option, std::string_view text,
                                        std::uint32_t low, std::uint32_t high) {
  std::vector<std::uint32_t> counts;
  std::string_view rest = text;
  for (;;) {
    const std::string_view word = rest.substr(0, rest.find(','));
    std::uint32_t count = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), count);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size() || count < low ||
        count > high) {
      throw ConfigError(
          fmt::format("{} '{}': '{}' is not a whole number from {} to {}; several are given with "
                      "commas, such as {} {},{}",
                      option, text, word, low, high, option, low, low + 1));
    }
    counts.push_back(count);
    if (word.size() == rest.size()) return counts;
    rest.remove_prefix(word.size() + 1);
  }
}

void check_cases(std::span<const BenchCase> cases, std::string_view model, std::size_t context,
                 std::size_t chunk) {
  std::string problems;
  for (const BenchCase& c : cases) {
    const std::string problem = problem_of(c, model, context, chunk);
    if (!problem.empty()) problems += (problems.empty() ? "" : "\n") + problem;
  }
  if (!problems.empty()) throw ConfigError(problems);
}

}  // namespace varve
