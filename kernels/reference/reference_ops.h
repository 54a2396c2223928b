// The oracle: every verb as plain loops that accumulate in double. One thread, no blocking, no
// vector code; slow on purpose.
#pragma once

#include <memory>

#include "kernels/ops.h"

namespace varve {

std::unique_ptr<Ops> make_reference_ops();

/// Direct softmax over each run of kAttendRunRows keys, merged in order (Ops::attend).
void reference_attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
                      std::span<const AttendItem> items, const AttendParams& params, Partial state);

/// Ops::add_mass; every addition is rounded to float32, as the law of its order demands.
void reference_add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions,
                        const AttendItem& item, const AttendParams& params, ConstMatrix lse,
                        Matrix mass);

// The verbs that write cached rows (Ops).
void reference_append_rows(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                           const SegmentStore& into, std::size_t at);
void reference_decode_rows(const SegmentView& from, std::size_t head, std::size_t begin,
                           Matrix keys, Matrix values);
void reference_encode_rows(const SegmentView& from, const SegmentStore& into);
void reference_rope_keys(const SegmentView& from, ConstMatrix cos_sin, RopeLayout layout,
                         const SegmentStore& into);
/// Rotates the first `rotated` elements of a head by cos_sin [rotated].
void rotate_head(float* head, const float* cos_sin, std::size_t rotated, RopeLayout layout);

}  // namespace varve
