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

}  // namespace varve
