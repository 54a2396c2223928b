// The shape rules of ops.h, checked once per call so that kernels can assume them. A failure is a
// bug of the caller.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/ops.h"

namespace varve {

void check_embed(std::span<const std::int32_t> tokens, const TensorView& table, const Matrix& out);
void check_linear(const ConstMatrix& x, const Projection& output);
void check_rms_norm(const ConstMatrix& x, const TensorView& gain, const Matrix& y);
void check_rope_angles(std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                       const Matrix& cos_sin);
void check_rope(const Matrix& x, const ConstMatrix& cos_sin, std::size_t head_dim);
void check_same_shape(const ConstMatrix& a, const ConstMatrix& b);
void check_summarize(const ConstMatrix& x, std::span<const RowSummary> out);
void check_append(const ConstMatrix& k, const ConstMatrix& v,
                  std::span<const std::int32_t> positions, const SegmentStore& into,
                  std::size_t at);
void check_attend(const ConstMatrix& q, std::span<const std::int32_t> q_positions,
                  std::span<const AttendItem> items, const AttendParams& params,
                  const Partial& state);
void check_add_mass(const ConstMatrix& q, std::span<const std::int32_t> q_positions,
                    const AttendItem& item, const AttendParams& params, const ConstMatrix& lse,
                    const Matrix& mass);
void check_gather_rows(const SegmentView& from, std::size_t head,
                       std::span<const std::uint32_t> rows, const SegmentStore& into,
                       std::size_t at);
void check_decode_rows(const SegmentView& from, std::size_t head, std::size_t begin,
                       const Matrix& keys, const Matrix& values);
void check_encode_rows(const SegmentView& from, const SegmentStore& into);
void check_rope_keys(const SegmentView& from, const ConstMatrix& cos_sin, const SegmentStore& into);
/// A state's own shape: out [T, Hq * D] and lse [T, Hq].
void check_partial(const Partial& state);

}  // namespace varve
