// How much a cache policy may keep, as users write it: "512" rows, "20%" of the document, "64MiB".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/dtype.h"
#include "common/model/model_config.h"

namespace varve {

/// Rows are counted per key head and layer, on average; protected rows are among them.
struct Budget {
  enum class Kind : std::uint8_t {
    kAll,      // nothing was said
    kTokens,   // rows
    kPercent,  // of the document's rows
    kBytes,    // of the document's kept rows in all layers
  };
  Kind kind = Kind::kAll;
  double value = 0;

  bool operator==(const Budget&) const = default;
};
template <class A>
void visit(A& a, Budget& b) {
  a(b.kind, b.value);
}

/// A plain number is tokens. ConfigError says what would be right.
Budget parse_budget(std::string_view text);

/// As it would be parsed: "512", "20%", "64 MiB"; "all".
std::string to_string(const Budget& budget);

/// Of tokens or percent: how many of `rows` rows, rounded down; never more than there are. All of
/// them for kAll.
std::size_t share_of(const Budget& budget, std::size_t rows);

}  // namespace varve
