#include "kernels/reference/reference_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/error.h"
#include "kernels/checks.h"
#include "kernels/host_memory.h"
#include "kernels/host_rows.h"
#include "kernels/partial.h"
#include "kernels/reference/dequantize.h"

namespace varve {
namespace {

const void* weight_row(const TensorView& view, std::size_t row) {
  return static_cast<const std::byte*>(view.data) + row * row_bytes(view.dtype, view.cols);
}

const float* vector_data(const Weight& weight) {
  return weight ? static_cast<const float*>(weight.view.data) : nullptr;
}

struct Pair {
  std::size_t first, second;  // offsets inside a head
};

Pair rotated_pair(RopeLayout layout, std::size_t i, std::size_t rotated) {
  if (layout == RopeLayout::kHalves) return {i, i + rotated / 2};
  return {2 * i, 2 * i + 1};
}

void normalise(const float* x, const float* gain, std::size_t size, double eps, float* y) {
  double squares = 0;
  for (std::size_t i = 0; i < size; ++i) squares += double{x[i]} * x[i];
  const double factor = 1.0 / std::sqrt(squares / static_cast<double>(size) + eps);
  for (std::size_t i = 0; i < size; ++i) y[i] = static_cast<float>(x[i] * factor * gain[i]);
}

void project(const ConstMatrix& x, const Projection& output) {
  const TensorView& w = output.w.view;
  std::vector<float> row(w.cols);
  for (std::size_t n = 0; n < w.rows; ++n) {
    dequantize(w.dtype, weight_row(w, n), row.size(), row.data());
    for (std::size_t t = 0; t < x.rows; ++t) {
      double sum = output.bias == nullptr ? 0.0 : vector_data(*output.bias)[n];
      for (std::size_t k = 0; k < row.size(); ++k) sum += double{x.row(t)[k]} * row[k];
      output.y.row(t)[n] = static_cast<float>(sum);
    }
  }
}

RowSummary summary_of(std::span<const float> row) {
  const auto top = std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float value : row) sum += std::exp(double{value} - *top);
  return {static_cast<std::int32_t>(top - row.begin()), *top, static_cast<float>(std::log(sum))};
}

class ReferenceOps final : public Ops {
 public:
  std::string describe() const override { return "reference"; }

  Buffer allocate(std::size_t bytes) override { return allocate_host(bytes); }
  void upload(void* to, const void* host, std::size_t bytes) override {
    copy_host(to, host, bytes);
  }
  void download(void* host, const void* from, std::size_t bytes) override {
    copy_host(host, from, bytes);
  }
  Weight prepare(const TensorView& host) override { return {host, {}}; }

  void embed(std::span<const std::int32_t> tokens, const Weight& table, Matrix out) override {
    check_embed(tokens, table.view, out);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      const auto row = static_cast<std::size_t>(tokens[t]);
      dequantize(table.view.dtype, weight_row(table.view, row), table.view.cols, out.row(t));
    }
  }

  void linear(ConstMatrix x, std::span<const Projection> outputs, Products /*products*/) override {
    for (const Projection& output : outputs) {
      check_linear(x, output);
      project(x, output);
    }
  }

  void rms_norm(ConstMatrix x, const Weight& gain, double eps, Matrix y) override {
    check_rms_norm(x, gain.view, y);
    const std::size_t size = gain.view.cols;
    for (std::size_t t = 0; t < x.rows; ++t) {
      for (std::size_t at = 0; at < x.cols; at += size) {
        normalise(x.row(t) + at, vector_data(gain), size, eps, y.row(t) + at);
      }
    }
  }

  void rope_angles(std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                   Matrix cos_sin) override {
    check_rope_angles(positions, inv_freq, cos_sin);
    for (std::size_t t = 0; t < positions.size(); ++t) {
      for (std::size_t i = 0; i < inv_freq.size(); ++i) {
        const float angle = static_cast<float>(positions[t]) * inv_freq[i];
        cos_sin.row(t)[i] = static_cast<float>(std::cos(double{angle}));
        cos_sin.row(t)[inv_freq.size() + i] = static_cast<float>(std::sin(double{angle}));
      }
    }
  }

  void rope(Matrix x, ConstMatrix cos_sin, std::size_t head_dim, RopeLayout layout) override {
    check_rope(x, cos_sin, head_dim);
    for (std::size_t t = 0; t < x.rows; ++t) {
      for (std::size_t at = 0; at < x.cols; at += head_dim) {
        rotate_head(x.row(t) + at, cos_sin.row(t), cos_sin.cols, layout);
      }
    }
  }

  void silu_mul(ConstMatrix gate, ConstMatrix up, Matrix y) override {
    check_same_shape(gate, up);
    check_same_shape(gate, y);
    for (std::size_t t = 0; t < y.rows; ++t) {
      for (std::size_t i = 0; i < y.cols; ++i) {
        const double g = gate.row(t)[i];
        y.row(t)[i] = static_cast<float>(g / (1.0 + std::exp(-g)) * up.row(t)[i]);
      }
    }
  }

  void add(ConstMatrix x, Matrix y) override {
    check_same_shape(x, y);
    for (std::size_t t = 0; t < y.rows; ++t) {
      for (std::size_t i = 0; i < y.cols; ++i) y.row(t)[i] += x.row(t)[i];
    }
  }

  void summarize(ConstMatrix x, std::span<RowSummary> out) override {
    check_summarize(x, out);
    for (std::size_t t = 0; t < x.rows; ++t) out[t] = summary_of({x.row(t), x.cols});
  }

  void append_rows(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                   const SegmentStore& into, std::size_t at) override {
    reference_append_rows(k, v, positions, into, at);
  }

  void clear(Partial state) override {
    check_partial(state);
    for (std::size_t t = 0; t < state.out.rows; ++t) {
      std::fill_n(state.out.row(t), state.out.cols, 0.0F);
      std::fill_n(state.lse.row(t), state.lse.cols, -std::numeric_limits<float>::infinity());
    }
  }

  void attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
              std::span<const AttendItem> items, const AttendParams& params,
              Partial state) override {
    reference_attend(q, q_positions, items, params, state);
  }

  void add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions, const AttendItem& item,
                const AttendParams& params, ConstMatrix lse, Matrix mass) override {
    reference_add_mass(q, q_positions, item, params, lse, mass);
  }

  void merge(const Partial& other, Partial state) override {
    check_partial(state);
    check_same_shape(other.out, state.out);
    check_same_shape(other.lse, state.lse);
    const std::size_t dim = state.out.cols / state.lse.cols;
    for (std::size_t t = 0; t < state.out.rows; ++t) {
      for (std::size_t h = 0; h < state.lse.cols; ++h) {
        merge_head({other.out.row(t) + h * dim, dim}, other.lse.row(t)[h],
                   {{state.out.row(t) + h * dim, dim}, state.lse.row(t)[h]});
      }
    }
  }

  void gather_rows(const SegmentView& from, std::size_t head, std::span<const std::uint32_t> rows,
                   const SegmentStore& into, std::size_t at) override {
    gather_host_rows(from, head, rows, into, at);
  }
  void decode_rows(const SegmentView& from, std::size_t head, std::size_t begin, Matrix keys,
                   Matrix values) override {
    reference_decode_rows(from, head, begin, keys, values);
  }
  void encode_rows(const SegmentView& from, const SegmentStore& into) override {
    reference_encode_rows(from, into);
  }
  void rope_keys(const SegmentView& from, ConstMatrix cos_sin, RopeLayout layout,
                 const SegmentStore& into) override {
    reference_rope_keys(from, cos_sin, layout, into);
  }
};

}  // namespace

void rotate_head(float* head, const float* cos_sin, std::size_t rotated, RopeLayout layout) {
  for (std::size_t i = 0; i < rotated / 2; ++i) {
    const auto [a, b] = rotated_pair(layout, i, rotated);
    const double c = cos_sin[i];
    const double s = cos_sin[rotated / 2 + i];
    const double x = head[a];
    const double y = head[b];
    head[a] = static_cast<float>(x * c - y * s);
    head[b] = static_cast<float>(x * s + y * c);
  }
}

std::unique_ptr<Ops> make_reference_ops() {
  return std::make_unique<ReferenceOps>();
}

}  // namespace varve
