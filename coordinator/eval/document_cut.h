// Documents of a given number of tokens, cut from running text.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "coordinator/eval/random.h"
#include "coordinator/eval/source_text.h"

namespace varve {

/// A sentence that is hidden in a document.
struct Fact {
  double depth = 0;  // 0 is the beginning, 1 the end
  std::string sentence;
};

/// How few tokens a document may be short of what was asked.
inline constexpr std::size_t kLengthTolerance = 8;

/// Sentences of `source` from number `first` on (behind the last comes the first), the facts among
/// them, and at the end whatever sentence of the text fills the room that is left. `count` says
/// what the whole document takes with what stands before it: at most `tokens`, and with any luck of
/// the text at least `tokens` - kLengthTolerance. It ends with a whole sentence. ConfigError if the
/// text is too short, or `tokens` too few for the facts and a sentence.
std::string cut_document(const SourceText& source, std::size_t first, std::span<const Fact> facts,
                         std::size_t tokens, const CountTokens& count, Random random);

/// Where sample `i`'s document begins: samples are spread evenly over the text, whatever their
/// number is (multiples of the golden ratio), from a place that depends on the seed.
std::size_t first_sentence(const SourceText& source, std::uint64_t seed, std::uint64_t sample);

}  // namespace varve
