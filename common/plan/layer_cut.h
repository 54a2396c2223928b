// A model's layers cut into stages, one range per rank.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "common/plan/footprint.h"

namespace varve {

/// What keeps `cut` from being a cut of `layers` layers for `ranks` ranks, as a clause; empty if
/// nothing does.
std::string cut_problem(std::span<const LayerRange> cut, std::size_t layers, std::size_t ranks);

/// As users write it: "0:15, 15:30".
std::string to_string(std::span<const LayerRange> cut);

}  // namespace varve
