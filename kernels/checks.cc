#include "kernels/checks.h"

#include "common/error.h"

namespace varve {
namespace {

void check_float_rows(DType dtype) {
  VARVE_CHECK(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16,
              "rows are stored as {}, not in a float format", dtype_info(dtype).name);
}

// What holds of every view, and of a store seen as one.
void check_segment(const SegmentView& s) {
  VARVE_CHECK(s.kv_heads() > 0 && s.head_dim > 0, "{} key heads of {}", s.kv_heads(), s.head_dim);
  if (!is_grouped(s.dtype)) check_float_rows(s.dtype);
  for (const HeadRows& head : s.heads) {
    VARVE_CHECK(!s.shared_positions || head.rows == s.heads.front().rows,
                "heads of {} and {} rows share their positions", s.heads.front().rows, head.rows);
    VARVE_CHECK(!is_grouped(s.dtype) || head.begin % kRowGroup == 0,
                "a head in {} begins at row {}", dtype_info(s.dtype).name, head.begin);
  }
  VARVE_CHECK(s.head_dim % dtype_info(s.dtype).block_size == 0, "{} elements in blocks of {}",
              s.head_dim, dtype_info(s.dtype).name);
}

void check_same_heads(const SegmentView& from, const SegmentView& into) {
  VARVE_CHECK(from.kv_heads() == into.kv_heads() && from.head_dim == into.head_dim,
              "{} key heads of {} into {} of {}", from.kv_heads(), from.head_dim, into.kv_heads(),
              into.head_dim);
  for (std::size_t h = 0; h < from.kv_heads(); ++h) {
    VARVE_CHECK(from.rows(h) == into.rows(h), "head {} has {} rows, its copy {}", h, from.rows(h),
                into.rows(h));
  }
}

void check_queries(const ConstMatrix& q, std::span<const std::int32_t> q_positions,
                   const AttendParams& params, const ConstMatrix& lse) {
  VARVE_CHECK(q_positions.size() == q.rows && lse.rows == q.rows && lse.cols == params.q_heads,
              "{} rows, {} positions, lse {} x {}, {} heads", q.rows, q_positions.size(), lse.rows,
              lse.cols, params.q_heads);
  VARVE_CHECK(params.q_heads > 0 && q.cols % params.q_heads == 0, "{} columns in {} heads", q.cols,
              params.q_heads);
}

void check_rotated(std::size_t elements, std::size_t head_dim) {
  VARVE_CHECK(elements % 2 == 0 && elements <= head_dim, "{} rotated elements of {}", elements,
              head_dim);
}

void check_item(const ConstMatrix& q, const AttendItem& item, const AttendParams& params) {
  const SegmentView& s = item.segment;
  check_segment(s);
  VARVE_CHECK(item.row_begin + item.row_count <= q.rows, "rows [{}, {}) of {}", item.row_begin,
              item.row_begin + item.row_count, q.rows);
  const std::size_t head_dim = q.cols / params.q_heads;
  VARVE_CHECK(s.head_dim == head_dim && params.q_heads % s.kv_heads() == 0,
              "{} query heads of {}, {} key heads of {}", params.q_heads, head_dim, s.kv_heads(),
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
  check_rotated(cos_sin.cols, head_dim);
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
  check_segment(into.view());
  check_float_rows(into.dtype);
  check_same_shape(k, v);
  VARVE_CHECK(k.rows == positions.size() && k.cols == into.kv_heads() * into.head_dim,
              "{} x {} rows, {} positions, {} heads of {}", k.rows, k.cols, positions.size(),
              into.kv_heads(), into.head_dim);
  for (const HeadRows& head : into.heads) {
    VARVE_CHECK(at + k.rows <= head.rows, "rows [{}, {}) of {}", at, at + k.rows, head.rows);
  }
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
  const SegmentView& segment = item.segment;
  VARVE_CHECK((mass.rows == segment.kv_heads() || mass.rows == params.q_heads) &&
                  mass.cols >= segment.most_rows(),
              "mass is {} x {}, the segment has {} key heads of up to {} rows", mass.rows,
              mass.cols, segment.kv_heads(), segment.most_rows());
}

void check_gather_rows(const SegmentView& from, std::size_t head,
                       std::span<const std::uint32_t> rows, const SegmentStore& into,
                       std::size_t at) {
  check_segment(from);
  check_segment(into.view());
  check_float_rows(from.dtype);
  VARVE_CHECK(from.dtype == into.dtype && from.head_dim == into.head_dim,
              "rows of {} {} into rows of {} {}", from.head_dim, dtype_info(from.dtype).name,
              into.head_dim, dtype_info(into.dtype).name);
  VARVE_CHECK(head < from.kv_heads() && head < into.kv_heads(), "head {} of {} and {}", head,
              from.kv_heads(), into.kv_heads());
  VARVE_CHECK(at + rows.size() <= into.heads[head].rows, "rows [{}, {}) of {}", at,
              at + rows.size(), into.heads[head].rows);
  const bool in_place = from.keys == into.keys;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    VARVE_CHECK(rows[i] < from.rows(head) && (i == 0 || rows[i] > rows[i - 1]),
                "row {} of {} is number {} of a list that ascends", rows[i], from.rows(head), i);
    VARVE_CHECK(!in_place || into.heads[head].begin + at + i <= from.heads[head].begin + rows[i],
                "row {} moves up to {} in place", rows[i], at + i);
  }
}

void check_decode_rows(const SegmentView& from, std::size_t head, std::size_t begin,
                       const Matrix& keys, const Matrix& values) {
  check_segment(from);
  VARVE_CHECK(head < from.kv_heads(), "head {} of {}", head, from.kv_heads());
  for (const Matrix& m : {keys, values}) {
    VARVE_CHECK(m.rows == 0 || (m.cols == from.head_dim && begin + m.rows <= from.rows(head)),
                "rows [{}, {}) of {} as {} columns of {}", begin, begin + m.rows, from.rows(head),
                m.cols, from.head_dim);
  }
}

void check_encode_rows(const SegmentView& from, const SegmentStore& into) {
  check_segment(from);
  check_segment(into.view());
  check_float_rows(from.dtype);
  check_same_heads(from, into.view());
  VARVE_CHECK(is_grouped(into.dtype), "{} is no integer format", dtype_info(into.dtype).name);
  VARVE_CHECK(from.shared_positions || !into.shared_positions,
              "positions per head into shared ones");
}

void check_rope_keys(const SegmentView& from, const ConstMatrix& cos_sin,
                     const SegmentStore& into) {
  check_segment(from);
  check_segment(into.view());
  check_float_rows(from.dtype);
  check_same_heads(from, into.view());
  VARVE_CHECK(from.dtype == into.dtype, "keys of {} into {}", dtype_info(from.dtype).name,
              dtype_info(into.dtype).name);
  VARVE_CHECK(cos_sin.rows >= from.most_rows(), "{} keys, {} angles", from.most_rows(),
              cos_sin.rows);
  check_rotated(cos_sin.cols, from.head_dim);
}

}  // namespace varve
