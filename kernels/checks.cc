#include "kernels/checks.h"

#include "common/error.h"

namespace varve {
namespace {

void check_row_type(DType dtype) {
  VARVE_CHECK(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16,
              "cached rows are stored as {}", dtype_info(dtype).name);
}

void check_queries(const ConstMatrix& q, std::span<const std::int32_t> q_positions,
                   const AttendParams& params, const ConstMatrix& lse) {
  VARVE_CHECK(q_positions.size() == q.rows && lse.rows == q.rows && lse.cols == params.q_heads,
              "{} rows, {} positions, lse {} x {}, {} heads", q.rows, q_positions.size(), lse.rows,
              lse.cols, params.q_heads);
  VARVE_CHECK(params.q_heads > 0 && q.cols % params.q_heads == 0, "{} columns in {} heads", q.cols,
              params.q_heads);
}

void check_item(const ConstMatrix& q, const AttendItem& item, const AttendParams& params) {
  const SegmentView& s = item.segment;
  check_row_type(s.dtype);
  VARVE_CHECK(item.row_begin + item.row_count <= q.rows, "rows [{}, {}) of {}", item.row_begin,
              item.row_begin + item.row_count, q.rows);
  VARVE_CHECK(s.rows <= s.capacity, "{} rows, room for {}", s.rows, s.capacity);
  const std::size_t head_dim = q.cols / params.q_heads;
  VARVE_CHECK(s.head_dim == head_dim && s.kv_heads > 0 && params.q_heads % s.kv_heads == 0,
              "{} query heads of {}, {} key heads of {}", params.q_heads, head_dim, s.kv_heads,
              s.head_dim);
}

}  // namespace

void check_embed(std::span<const std::int32_t> tokens, const TensorView& table, const Matrix& out) {
  VARVE_CHECK(out.rows == tokens.size() && out.cols == table.cols, "{} tokens of {} into {} x {}",
              tokens.size(), table.cols, out.rows, out.cols);
  for (const std::int32_t token : tokens) {
    VARVE_CHECK(token >= 0 && static_cast<std::size_t>(token) < table.rows, "token {} of {}", token,
                table.rows);
  }
}

void check_linear(const ConstMatrix& x, const Projection& output) {
  const TensorView& w = output.w.view;
  const Matrix& y = output.y;
  VARVE_CHECK(x.cols == w.cols, "x has {} columns, w {}", x.cols, w.cols);
  VARVE_CHECK(x.rows == y.rows && y.cols == w.rows, "y is {} x {}, x has {} rows, w {}", y.rows,
              y.cols, x.rows, w.rows);
  if (output.bias == nullptr) return;
  const TensorView& bias = output.bias->view;
  VARVE_CHECK(bias.dtype == DType::kF32 && bias.rows * bias.cols == w.rows,
              "bias is {} x {} {}, w has {} rows", bias.rows, bias.cols,
              dtype_info(bias.dtype).name, w.rows);
}

void check_rms_norm(const ConstMatrix& x, const TensorView& gain, const Matrix& y) {
  check_same_shape(x, y);
  VARVE_CHECK(gain.dtype == DType::kF32 && gain.rows == 1, "gain has {} rows of {}", gain.rows,
              dtype_info(gain.dtype).name);
  VARVE_CHECK(gain.cols > 0 && x.cols % gain.cols == 0, "{} columns in groups of {}", x.cols,
              gain.cols);
}

void check_rope_angles(std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                       const Matrix& cos_sin) {
  VARVE_CHECK(cos_sin.rows == positions.size() && cos_sin.cols == 2 * inv_freq.size(),
              "angles are {} x {} for {} positions and {} frequencies", cos_sin.rows, cos_sin.cols,
              positions.size(), inv_freq.size());
}

void check_rope(const Matrix& x, const ConstMatrix& cos_sin, std::size_t head_dim) {
  VARVE_CHECK(x.rows == cos_sin.rows, "{} rows, {} angles", x.rows, cos_sin.rows);
  VARVE_CHECK(head_dim > 0 && x.cols % head_dim == 0, "{} columns in heads of {}", x.cols,
              head_dim);
  VARVE_CHECK(cos_sin.cols % 2 == 0 && cos_sin.cols <= head_dim, "{} rotated elements of {}",
              cos_sin.cols, head_dim);
}

void check_same_shape(const ConstMatrix& a, const ConstMatrix& b) {
  VARVE_CHECK(a.rows == b.rows && a.cols == b.cols, "{} x {} and {} x {}", a.rows, a.cols, b.rows,
              b.cols);
}

void check_summarize(const ConstMatrix& x, std::span<const RowSummary> out) {
  VARVE_CHECK(x.rows == out.size() && x.cols > 0, "{} x {} summarized in {}", x.rows, x.cols,
              out.size());
}

void check_append(const ConstMatrix& k, const ConstMatrix& v,
                  std::span<const std::int32_t> positions, const SegmentStore& into,
                  std::size_t at) {
  check_row_type(into.dtype);
  check_same_shape(k, v);
  VARVE_CHECK(k.rows == positions.size() && k.cols == into.kv_heads * into.head_dim,
              "{} x {} rows, {} positions, {} heads of {}", k.rows, k.cols, positions.size(),
              into.kv_heads, into.head_dim);
  VARVE_CHECK(at + k.rows <= into.capacity, "rows [{}, {}) of {}", at, at + k.rows, into.capacity);
}

void check_partial(const Partial& state) {
  VARVE_CHECK(state.out.rows == state.lse.rows && state.lse.cols > 0 &&
                  state.out.cols % state.lse.cols == 0,
              "out is {} x {}, lse {} x {}", state.out.rows, state.out.cols, state.lse.rows,
              state.lse.cols);
}

void check_attend(const ConstMatrix& q, std::span<const std::int32_t> q_positions,
                  std::span<const AttendItem> items, const AttendParams& params,
                  const Partial& state) {
  check_partial(state);
  check_same_shape(q, state.out);
  check_queries(q, q_positions, params, state.lse);
  for (const AttendItem& item : items) check_item(q, item, params);
}

void check_add_mass(const ConstMatrix& q, std::span<const std::int32_t> q_positions,
                    const AttendItem& item, const AttendParams& params, const ConstMatrix& lse,
                    const Matrix& mass) {
  check_queries(q, q_positions, params, lse);
  check_item(q, item, params);
  VARVE_CHECK(mass.rows == item.segment.kv_heads && mass.cols == item.segment.rows,
              "mass is {} x {}, the segment has {} key heads and {} rows", mass.rows, mass.cols,
              item.segment.kv_heads, item.segment.rows);
}

}  // namespace varve
