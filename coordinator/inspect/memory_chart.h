// Memory over time as an SVG picture: a line for each rank.
#pragma once

#include <string>
#include <vector>

#include "common/plan/audit.h"

namespace varve {

/// By rank. Its colours are the page's.
std::string memory_chart(const std::vector<std::vector<MemorySample>>& ranks);

/// Class of rank r's line and of its mark in a legend.
std::string rank_class(std::size_t rank);

}  // namespace varve
