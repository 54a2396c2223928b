// One cached row in any format as float32, element by element.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/segment_view.h"

namespace varve {

/// Row `row` of one head's keys or values, into out [D].
void read_key(const SegmentView& s, std::size_t head, std::size_t row, std::span<float> out);
void read_value(const SegmentView& s, std::size_t head, std::size_t row, std::span<float> out);

}  // namespace varve
