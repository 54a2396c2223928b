#include "kernels/cpu/cpu_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "common/error.h"
#include "kernels/checks.h"
#include "kernels/cpu/amx.h"
#include "kernels/cpu/attend.h"
#include "kernels/cpu/cached_rows.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/host_memory.h"
#include "kernels/host_rows.h"
#include "kernels/partial.h"
#include "kernels/reference/dequantize.h"

namespace varve {
namespace {

// Work below this many elements costs less than waking a thread.
constexpr std::size_t kParallelElements = std::size_t{1} << 15U;
// Rows of x that gemm takes at once (a multiple of every block_rows): bounds its packed copy.
constexpr std::size_t kGemmRows = 516;

constexpr std::size_t kSplitRows = 1024;  // the same of matrix units
static_assert(kSplitRows % kAmxBlockRows == 0);

// A weight of one row is a vector and stays as it is stored; matrices are packed.
bool is_packed(const Weight& weight) {
  return weight.view.rows > 1;
}

PanelWeight panels_of(const Weight& weight) {
  return {weight.view.dtype, weight.view.rows, weight.view.cols,
          static_cast<const std::uint8_t*>(weight.view.data)};
}

const float* vector_data(const Weight& weight) {
  return weight ? static_cast<const float*>(weight.view.data) : nullptr;
}

ConstMatrix rows_of(const ConstMatrix& m, std::size_t begin, std::size_t count) {
  return {m.row(begin), count, m.cols, m.stride};
}

// Elements that one thread summarizes at a time. Fixed, so that the sums do not depend on threads.
constexpr std::size_t kSummaryPiece = 4096;

RowSummary join(std::span<const PieceSummary> pieces) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    if (pieces[i].largest > pieces[best].largest) best = i;
  }
  const float largest = pieces[best].largest;
  double sum = 0;
  for (const PieceSummary& piece : pieces) {
    sum += double{piece.sum} * std::exp(double{piece.largest} - largest);
  }
  return {static_cast<std::int32_t>(best * kSummaryPiece + pieces[best].top), largest,
          static_cast<float>(std::log(sum))};
}

class CpuOps final : public Ops {
 public:
  CpuOps(const Isa& isa, std::size_t threads, std::span<const std::uint32_t> cores)
      : isa_(isa),
        linear_(linear_kernels(isa.target)),
        rows_(row_kernels(isa.target)),
        pool_(threads, cores),
        attention_(isa.target, pool_),
        cached_rows_(rows_, pool_) {
    const std::size_t bytes = std::max(linear_.tile_bytes, isa.amx ? amx_scratch_bytes() : 0);
    for (std::size_t i = 0; i < threads; ++i) tiles_.push_back(allocate_host(bytes));
  }

  std::string describe() const override { return fmt::format("cpu ({})", isa_.name); }

  Buffer allocate(std::size_t bytes) override { return allocate_host(bytes); }
  void upload(void* to, const void* host, std::size_t bytes) override {
    copy_host(to, host, bytes);
  }
  void download(void* host, const void* from, std::size_t bytes) override {
    copy_host(host, from, bytes);
  }

  Weight prepare(const TensorView& host) override {
    if (host.rows <= 1) return {host, {}};
    Weight packed{host, weights_.allocate(packed_bytes(host))};
    auto* data = packed.storage.as<std::uint8_t>();
    packed.view.data = data;
    const PanelWeight panels = panels_of(packed);
    pool_.split(panels.panels(), [&](std::size_t begin, std::size_t end, std::size_t) {
      for (std::size_t p = begin; p < end; ++p) {
        pack_panel(host, p, data + p * panels.panel_bytes());
      }
    });
    return packed;
  }

  void embed(std::span<const std::int32_t> tokens, const Weight& table, Matrix out) override {
    check_embed(tokens, table.view, out);
    for_rows(out, [&](std::size_t begin, std::size_t end) {
      for (std::size_t t = begin; t < end; ++t) {
        if (is_packed(table)) {
          linear_.decode_row(panels_of(table), static_cast<std::size_t>(tokens[t]), out.row(t));
        } else {
          dequantize(table.view.dtype, table.view.data, table.view.cols, out.row(t));
        }
      }
    });
  }

  void linear(ConstMatrix x, std::span<const Projection> outputs, Products products) override {
    for (const Projection& output : outputs) check_linear(x, output);
    const bool split = isa_.amx && products == Products::kSplit;
    const std::size_t most = split ? kSplitRows : kGemmRows;
    for (std::size_t row = 0; row < x.rows; row += most) {
      const std::size_t count = std::min(most, x.rows - row);
      list_jobs(rows_of(x, row, count), outputs, row);
      if (jobs_.empty()) continue;
      if (split) {
        split_gemm();
      } else if (count <= linear_.gemv_rows) {
        gemv();
      } else {
        gemm();
      }
    }
  }

  void rms_norm(ConstMatrix x, const Weight& gain, double eps, Matrix y) override {
    check_rms_norm(x, gain.view, y);
    const std::span<const float> factors(vector_data(gain), gain.view.cols);
    for_rows(y, [&](std::size_t begin, std::size_t end) {
      rows_.rms_norm(x, factors, eps, y, begin, end);
    });
  }

  void rope_angles(std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                   Matrix cos_sin) override {
    check_rope_angles(positions, inv_freq, cos_sin);
    for_rows(cos_sin, [&](std::size_t begin, std::size_t end) {
      for (std::size_t t = begin; t < end; ++t) {
        for (std::size_t i = 0; i < inv_freq.size(); ++i) {
          const float angle = static_cast<float>(positions[t]) * inv_freq[i];
          cos_sin.row(t)[i] = static_cast<float>(std::cos(double{angle}));
          cos_sin.row(t)[inv_freq.size() + i] = static_cast<float>(std::sin(double{angle}));
        }
      }
    });
  }

  void rope(Matrix x, ConstMatrix cos_sin, std::size_t head_dim, RopeLayout layout) override {
    check_rope(x, cos_sin, head_dim);
    for_rows(x, [&](std::size_t begin, std::size_t end) {
      rows_.rope(x, cos_sin, head_dim, layout, begin, end);
    });
  }

  void silu_mul(ConstMatrix gate, ConstMatrix up, Matrix y) override {
    check_same_shape(gate, up);
    check_same_shape(gate, y);
    for_rows(y,
             [&](std::size_t begin, std::size_t end) { rows_.silu_mul(gate, up, y, begin, end); });
  }

  void add(ConstMatrix x, Matrix y) override {
    check_same_shape(x, y);
    for_rows(y, [&](std::size_t begin, std::size_t end) { rows_.add(x, y, begin, end); });
  }

  void summarize(ConstMatrix x, std::span<RowSummary> out) override {
    check_summarize(x, out);
    const std::size_t pieces = (x.cols + kSummaryPiece - 1) / kSummaryPiece;
    pieces_.resize(std::max(pieces_.size(), x.rows * pieces));
    const auto piece = [&](std::size_t index, std::size_t) {
      const std::span<const float> row(x.row(index / pieces), x.cols);
      const std::size_t at = index % pieces * kSummaryPiece;
      pieces_[index] = rows_.summarize(row.subspan(at, std::min(kSummaryPiece, x.cols - at)));
    };
    pool_.each(x.rows * pieces, piece);
    for (std::size_t t = 0; t < x.rows; ++t) {
      out[t] = join({pieces_.data() + t * pieces, pieces});
    }
  }

  void append_rows(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                   const SegmentStore& into, std::size_t at) override {
    cached_rows_.append(k, v, positions, into, at);
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
    check_attend(q, q_positions, items, params, state);
    attention_.attend(q, q_positions, items, params, state);
  }

  void add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions, const AttendItem& item,
                const AttendParams& params, ConstMatrix lse, Matrix mass) override {
    check_add_mass(q, q_positions, item, params, lse, mass);
    attention_.add_mass(q, q_positions, item, params, lse, mass);
  }

  void merge(const Partial& other, Partial state) override {
    check_partial(state);
    check_same_shape(other.out, state.out);
    check_same_shape(other.lse, state.lse);
    const std::size_t dim = state.out.cols / state.lse.cols;
    for_rows(state.out, [&](std::size_t begin, std::size_t end) {
      for (std::size_t t = begin; t < end; ++t) {
        for (std::size_t h = 0; h < state.lse.cols; ++h) {
          merge_head({other.out.row(t) + h * dim, dim}, other.lse.row(t)[h],
                     {{state.out.row(t) + h * dim, dim}, state.lse.row(t)[h]});
        }
      }
    });
  }

  void gather_rows(const SegmentView& from, std::size_t head, std::span<const std::uint32_t> rows,
                   const SegmentStore& into, std::size_t at) override {
    gather_host_rows(from, head, rows, into, at);
  }

  void decode_rows(const SegmentView& from, std::size_t head, std::size_t begin, Matrix keys,
                   Matrix values) override {
    cached_rows_.decode(from, head, begin, keys, values);
  }

  void encode_rows(const SegmentView& from, const SegmentStore& into) override {
    cached_rows_.encode(from, into);
  }

  void rope_keys(const SegmentView& from, ConstMatrix cos_sin, RopeLayout layout,
                 const SegmentStore& into) override {
    cached_rows_.rope_keys(from, cos_sin, layout, into);
  }

 private:
  /// work(begin, end) over the rows of m, on this thread alone if that is little work.
  template <class Work>
  void for_rows(const Matrix& m, const Work& work) {
    if (m.rows * m.cols < kParallelElements) return work(0, m.rows);
    pool_.split(m.rows, [&](std::size_t begin, std::size_t end, std::size_t) { work(begin, end); });
  }

  // Fills jobs_ with the outputs whose weights are packed; the others are done at once.
  void list_jobs(const ConstMatrix& x, std::span<const Projection> outputs, std::size_t row) {
    jobs_.clear();
    for (const Projection& output : outputs) {
      const Weight& w = output.w;
      const float* bias = output.bias == nullptr ? nullptr : vector_data(*output.bias);
      const Matrix y = output.y.slice(row, x.rows);
      if (!is_packed(w)) {
        dot_rows(x, w, bias, y);
        continue;
      }
      VARVE_CHECK(w.storage.bytes() == packed_bytes(w.view), "a weight that prepare did not make");
      jobs_.push_back({panels_of(w), x, bias, y});
    }
  }

  std::size_t panels_of_jobs() const {
    return std::accumulate(
        jobs_.begin(), jobs_.end(), std::size_t{0},
        [](std::size_t sum, const LinearJob& job) { return sum + job.w.panels(); });
  }

  /// work(job, begin, end) over the panels [begin, end) of all jobs, counted one behind the other.
  template <class Work>
  void for_panels(std::size_t begin, std::size_t end, const Work& work) const {
    for (const LinearJob& job : jobs_) {
      const std::size_t panels = job.w.panels();
      if (begin < std::min(end, panels)) work(job, begin, std::min(end, panels));
      begin -= std::min(begin, panels);
      end -= std::min(end, panels);
    }
  }

  void gemv() {
    const auto range = [this](std::size_t begin, std::size_t end, std::size_t) {
      for_panels(begin, end, linear_.gemv);
    };
    const std::size_t panels = panels_of_jobs();
    if (panels * kPanelOutputs * jobs_.front().x.cols < kParallelElements) {
      return range(0, panels, 0);
    }
    pool_.split(panels, range);
  }

  void gemm() {
    const ConstMatrix& x = jobs_.front().x;
    auto* packed = static_cast<float*>(room_for_x(x.rows * x.cols * sizeof(float)));
    const std::size_t blocks = (x.rows + linear_.block_rows - 1) / linear_.block_rows;
    pool_.split(blocks, [&](std::size_t begin, std::size_t end, std::size_t) {
      linear_.pack(x, begin, end, packed);
    });
    pool_.each(panels_of_jobs(), [&](std::size_t panel, std::size_t thread) {
      for_panels(panel, panel + 1, [&](const LinearJob& job, std::size_t begin, std::size_t end) {
        linear_.gemm(job, packed, begin, end, tiles_[thread].as<float>());
      });
    });
  }

  /// gemm on matrix units, whatever the number of rows.
  void split_gemm() {
    const ConstMatrix& x = jobs_.front().x;
    void* packed = room_for_x(amx_packed_bytes(x.rows, x.cols));
    const std::size_t blocks = (x.rows + kAmxBlockRows - 1) / kAmxBlockRows;
    pool_.split(blocks, [&](std::size_t begin, std::size_t end, std::size_t) {
      amx_pack(x, begin, end, packed);
    });
    // Several panels share the reading of x, but every thread should have some pieces of work.
    const std::size_t panels = panels_of_jobs();
    const std::size_t size = std::clamp<std::size_t>(panels / (3 * pool_.size()), 1, 8);
    pool_.each((panels + size - 1) / size, [&](std::size_t piece, std::size_t thread) {
      const std::size_t first = piece * size;
      const std::size_t last = std::min(first + size, panels);
      for_panels(first, last, [&](const LinearJob& job, std::size_t begin, std::size_t end) {
        amx_gemm(job, linear_.decode_panel, packed, begin, end, tiles_[thread].data());
      });
    });
  }

  void* room_for_x(std::size_t bytes) {
    if (packed_x_.bytes() < bytes) packed_x_ = allocate_host(bytes);
    return packed_x_.data();
  }

  // A weight of one output: the same chain of multiply-adds as in a panel is not needed, one row
  // meets no other path.
  void dot_rows(const ConstMatrix& x, const Weight& w, const float* bias, const Matrix& y) {
    decoded_.resize(std::max(decoded_.size(), w.view.cols));
    dequantize(w.view.dtype, w.view.data, w.view.cols, decoded_.data());
    for (std::size_t t = 0; t < x.rows; ++t) {
      double sum = bias == nullptr ? 0.0 : bias[0];
      for (std::size_t k = 0; k < x.cols; ++k) sum += double{x.row(t)[k]} * decoded_[k];
      y.row(t)[0] = static_cast<float>(sum);
    }
  }

  Isa isa_;
  LinearKernels linear_;
  RowKernels rows_;
  ThreadPool pool_;
  Attention attention_;
  CachedRowVerbs cached_rows_;
  HostArena weights_;
  // Work memory, grown when a call needs more, never given back.
  std::vector<Buffer> tiles_;    // [threads]: a decoded tile of gemm
  std::vector<LinearJob> jobs_;  // of the call at hand; they share their input
  Buffer packed_x_;
  std::vector<PieceSummary> pieces_;  // [rows][pieces of a row]
  std::vector<float> decoded_;        // a weight of one row
};

}  // namespace

std::unique_ptr<Ops> make_cpu_ops(const Isa& isa, std::size_t threads,
                                  std::span<const std::uint32_t> cores) {
  return std::make_unique<CpuOps>(isa, threads, cores);
}

}  // namespace varve
