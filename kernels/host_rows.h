// Moving cached rows about in host memory; every host backend does it this way.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/segment_view.h"

namespace varve {

/// Ops::gather_rows.
void gather_host_rows(const SegmentView& from, std::size_t head,
                      std::span<const std::uint32_t> rows, const SegmentStore& into,
                      std::size_t at);

/// Positions of rows [at, at + positions.size()) of every head.
void append_host_positions(std::span<const std::int32_t> positions, const SegmentStore& into,
                           std::size_t at);

/// The positions of all heads of `from` become those of `into`, heads of equally many rows, as
/// Ops::encode_rows says.
void copy_host_positions(const SegmentView& from, const SegmentStore& into);

}  // namespace varve
