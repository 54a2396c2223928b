// Which passages of the document a person wants to read: those that an answer looked at, and those
// that are gone. A passage is some neighbouring spans.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace varve {

struct AttendedPassage {
  std::size_t begin = 0;  // spans [begin, end)
  std::size_t end = 0;
  double share = 0;  // sum of theirs
};
/// At most `most`, largest share first: again and again the span of the largest share that is not
/// in one yet, and with it neighbours of at least half of its share, 8 spans at most. Spans before
/// `first` are left out.
std::vector<AttendedPassage> attended_passages(std::span<const double> shares, std::size_t first,
                                               std::size_t most);

struct LostPassage {
  std::size_t begin = 0;  // spans [begin, end)
  std::size_t end = 0;
};
struct LostPassages {
  std::uint32_t layers = 0;          // at least so many kept nothing of any of their spans
  std::vector<LostPassage> longest;  // longest first; those of the same length as they stand
  std::size_t count = 0;             // of all
};
/// Runs of spans of which most layers kept no row, `most` at most. How many layers: as many of
/// `layers` as there are where still `most` runs are found, but at least half of them.
LostPassages lost_passages(std::span<const std::uint32_t> span_layers, std::uint32_t layers,
                           std::size_t most);

}  // namespace varve
