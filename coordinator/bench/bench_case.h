// What `varve bench` times, by llama-bench's names: pp512 reads 512 tokens, tg32 generates 32 one
// after the other, "@ d4096" with 4096 tokens in the cache before. "b8": eight sequences that share
// those 4096 and generate at the same time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct BenchCase {
  enum class Kind : std::uint8_t { kPrompt, kGenerate };
  Kind kind = Kind::kPrompt;
  std::uint32_t tokens = 0;     // of each sequence
  std::uint32_t depth = 0;      // tokens in the cache before
  std::uint32_t sequences = 1;  // more than one only for kGenerate
  bool operator==(const BenchCase&) const = default;
};

/// "pp512", "tg32 @ d4096", "tg32 b8 @ d4096".
std::string name_of(const BenchCase& c);

/// What the options say.
struct BenchLists {
  std::vector<std::uint32_t> prompts{512};
  std::vector<std::uint32_t> generates{32};
  std::vector<std::uint32_t> depths{0};
  std::vector<std::uint32_t> sequences{1};
};

/// Depth by depth: prompts, then generating with each number of sequences. A count of 0 is left out
/// ("-p 0" measures no prompt), a case that is named twice is measured once. ConfigError if nothing
/// is left.
std::vector<BenchCase> bench_cases(const BenchLists& lists);

/// The numbers of "0,4096", each from `low` to `high`. ConfigError names the option.
std::vector<std::uint32_t> parse_counts(std::string_view option, std::string_view text,
                                        std::uint32_t low, std::uint32_t high);

/// ConfigError, with every case that is too much, if the context cannot hold one or a step of
/// `chunk` rows cannot take a row of each sequence.
void check_cases(std::span<const BenchCase> cases, std::string_view model, std::size_t context,
                 std::size_t chunk);

}  // namespace varve
