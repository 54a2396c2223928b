#include "kernels/cpu/targets.h"
// Highway includes this file once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cc"
#include "hwy/foreach_target.h"
// Behind foreach_target.h, by Highway's rules.
#include <algorithm>
#include <array>
#include <utility>

#include "hwy/cache_control.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/micro-inl.h"
#include "kernels/cpu/panel_column-inl.h"
#include "kernels/cpu/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {
namespace {

inline constexpr std::size_t kTileK = 768;  // most k of a decoded tile; a multiple of kGroupK
// Rows that gemv takes at once. Each count is compiled for each stored format, which is worth it
// only on current machines.
#if HWY_TARGET == HWY_SCALAR
inline constexpr std::size_t kGemvRows = 0;
#elif HWY_TARGET == HWY_SSE4
inline constexpr std::size_t kGemvRows = 1;
#elif HWY_TARGET == HWY_AVX3
inline constexpr std::size_t kGemvRows = 8;
#else
inline constexpr std::size_t kGemvRows = 4;
#endif
inline constexpr std::size_t kPrefetchBytes = 4096;  // how far gemv asks ahead in the stream

// Columns that gemv advances together: enough chains of multiply-adds to hide their latency, few
// enough for accumulators, scales and offsets to stay in registers.
constexpr std::size_t gemv_columns(std::size_t rows) {
  return std::min<std::size_t>(kPanelOutputs / kLanes, rows == 1 ? 4 : 2);
}

// Asks for what follows `group` in the stream. Plain types read so much per multiplication that the
// hardware sees the stream by itself.
template <DType kType, std::size_t kColumns>
HWY_INLINE void prefetch_group(const std::uint8_t* group) {
  constexpr std::size_t kShare = panel_format(kType).group * kColumns * kLanes / kPanelOutputs;
  for (std::size_t i = 0; i < (is_plain(kType) ? 1 : kShare); i += 64) {
    hwy::Prefetch(group + kPrefetchBytes + i);
  }
}

// The next k of all columns: acc [T][kColumns] += x [T, k] weight [k, columns]. j = k % 8.
template <std::size_t T, std::size_t kColumns, class C>
HWY_INLINE void gemv_step(C* columns, const ConstMatrix& x, std::size_t k, std::size_t j,
                          VecF (*acc)[kColumns]) {
  VARVE_UNROLL
  for (std::size_t c = 0; c < kColumns; ++c) {
    const VecF weight = columns[c].next(j);
    VARVE_UNROLL
    for (std::size_t t = 0; t < T; ++t) {
      acc[t][c] = hn::MulAdd(hn::Set(TagF(), x.data[t * x.stride + k]), weight, acc[t][c]);
    }
  }
}

// out [T][kPanelOutputs]: outputs [lane, lane + kColumns * kLanes) of a panel for T rows of x.
template <DType kType, std::size_t T, std::size_t kColumns>
HWY_INLINE void gemv_part(const std::uint8_t* panel, std::size_t lane, const ConstMatrix& x,
                          float* out) {
  const TagF d;
  Column<kType, nibbles_in_place(kType, T)> columns[kColumns];
  VecF acc[T][kColumns];
  VARVE_UNROLL
  for (std::size_t t = 0; t < T; ++t) {
    VARVE_UNROLL
    for (std::size_t c = 0; c < kColumns; ++c) acc[t][c] = hn::Zero(d);
  }
  for (std::size_t k = 0; k < x.cols; k += 8) {
    const std::size_t word = k / 8 % 4;
    if (word == 0) {
      VARVE_UNROLL
      for (std::size_t c = 0; c < kColumns; ++c) {
        columns[c].begin_group(panel, k / kGroupK, lane + c * kLanes);
      }
      prefetch_group<kType, kColumns>(panel + panel_format(kType).group_at(k / kGroupK));
    }
    VARVE_UNROLL
    for (std::size_t c = 0; c < kColumns; ++c) columns[c].begin_word(word);
    if (is_plain(kType) && x.cols - k < 8) {
      for (std::size_t j = 0; k + j < x.cols; ++j) {
        gemv_step<T, kColumns>(columns, x, k + j, j, acc);
      }
      break;
    }
    VARVE_UNROLL
    for (std::size_t j = 0; j < 8; ++j) gemv_step<T, kColumns>(columns, x, k + j, j, acc);
  }
  VARVE_UNROLL
  for (std::size_t t = 0; t < T; ++t) {
    VARVE_UNROLL
    for (std::size_t c = 0; c < kColumns; ++c) {
      hn::StoreU(acc[t][c], d, out + t * kPanelOutputs + lane + c * kLanes);
    }
  }
}

template <DType kType, std::size_t T>
void gemv_panel(const std::uint8_t* panel, const ConstMatrix& x, float* out) {
  constexpr std::size_t kColumns = gemv_columns(T);
  for (std::size_t lane = 0; lane < kPanelOutputs; lane += kColumns * kLanes) {
    gemv_part<kType, T, kColumns>(panel, lane, x, out);
  }
}

template <class C>
HWY_INLINE void store_k(C& left, C& right, std::size_t j, float* to) {
  hn::StoreU(left.next(j), TagF(), to);
  hn::StoreU(right.next(j), TagF(), to + kLanes);
}

// tile [k_end - k_begin][kMicroCols]: outputs [lane, lane + kMicroCols) of a panel.
template <DType kType>
void decode_tile(const std::uint8_t* panel, std::size_t lane, std::size_t k_begin,
                 std::size_t k_end, float* tile) {
  Column<kType, nibbles_in_place(kType, 0)> left;
  Column<kType, nibbles_in_place(kType, 0)> right;
  for (std::size_t k = k_begin; k < k_end; k += 8) {
    const std::size_t word = k / 8 % 4;
    if (word == 0) {
      left.begin_group(panel, k / kGroupK, lane);
      right.begin_group(panel, k / kGroupK, lane + kLanes);
    }
    left.begin_word(word);
    right.begin_word(word);
    if (is_plain(kType) && k_end - k < 8) {
      for (std::size_t j = 0; k + j < k_end; ++j) store_k(left, right, j, tile + j * kMicroCols);
      break;
    }
    VARVE_UNROLL
    for (std::size_t j = 0; j < 8; ++j) store_k(left, right, j, tile + j * kMicroCols);
    tile += 8 * kMicroCols;
  }
}

using GemvPanel = void (*)(const std::uint8_t* panel, const ConstMatrix& x, float* out);

template <DType kType, std::size_t... kIndex>
constexpr std::array<GemvPanel, sizeof...(kIndex)> gemv_panels(std::index_sequence<kIndex...>) {
  return {&gemv_panel<kType, kIndex + 1>...};
}

// What depends on the dtype of the weight.
struct Decoder {
  std::array<GemvPanel, kGemvRows> gemv;  // [rows - 1]
  void (*tile)(const std::uint8_t* panel, std::size_t lane, std::size_t k_begin, std::size_t k_end,
               float* tile);
};

template <std::size_t... kIndex>
constexpr std::array<Decoder, sizeof...(kIndex)> decoders(std::index_sequence<kIndex...>) {
  return {Decoder{gemv_panels<static_cast<DType>(kIndex)>(std::make_index_sequence<kGemvRows>()),
                  &decode_tile<static_cast<DType>(kIndex)>}...};
}

const Decoder& decoder_of(DType dtype) {
  constexpr std::size_t kDTypes = static_cast<std::size_t>(DType::kQ6_K) + 1;
  static constexpr auto kDecoders = decoders(std::make_index_sequence<kDTypes>());
  return kDecoders[static_cast<std::size_t>(dtype)];
}

// y [rows of x, outputs of panel p] from what gemv_panel gave.
void store_panel(const LinearJob& job, std::size_t p, std::size_t row, std::size_t rows,
                 const float* out) {
  const std::size_t first = p * kPanelOutputs;
  const std::size_t count = std::min(kPanelOutputs, job.w.rows - first);
  for (std::size_t t = 0; t < rows; ++t) {
    const float* from = out + t * kPanelOutputs;
    float* to = job.y.row(row + t) + first;
    for (std::size_t n = 0; n < count; ++n) {
      to[n] = job.bias == nullptr ? from[n] : from[n] + job.bias[first + n];
    }
  }
}

void gemv(const LinearJob& job, std::size_t panel_begin, std::size_t panel_end) {
  HWY_ALIGN float out[std::max<std::size_t>(kGemvRows, 1) * kPanelOutputs];
  const Decoder& decoder = decoder_of(job.w.dtype);
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    for (std::size_t row = 0; row < job.x.rows; row += kGemvRows) {
      const std::size_t rows = std::min(kGemvRows, job.x.rows - row);
      const ConstMatrix x{job.x.row(row), rows, job.x.cols, job.x.stride};
      decoder.gemv[rows - 1](job.w.panel(p), x, out);
      store_panel(job, p, row, rows, out);
    }
  }
}

#if HWY_TARGET == HWY_SCALAR

std::size_t pack_four(const ConstMatrix& /*x*/, std::size_t /*first*/, std::size_t /*rows*/,
                      float* /*to*/) {
  return 0;
}

#else

// Four values of one k to `to`; if there are eight, the other four to `to` + `step`.
template <class D, class V>
HWY_INLINE void store_quarters(D d, V value, float* to, [[maybe_unused]] std::size_t step) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    hn::StoreU(value, d, to);
  } else {
    const hn::Half<D> quarter;
    hn::StoreU(hn::LowerHalf(quarter, value), quarter, to);
    hn::StoreU(hn::UpperHalf(quarter, value), quarter, to + step);
  }
}

// Four rows of x from `first` on become four columns of `to` [K][rows]. Returns how many k it did.
std::size_t pack_four(const ConstMatrix& x, std::size_t first, std::size_t rows, float* to) {
  std::size_t k = 0;
  for (; k + kTransposed <= x.cols; k += kTransposed) {
    VecT in[4];
    VecT out[4];
    VARVE_UNROLL
    for (std::size_t r = 0; r < 4; ++r) in[r] = hn::LoadU(TagT(), x.row(first + r) + k);
    transpose_quarters(in, out);
    VARVE_UNROLL
    for (std::size_t i = 0; i < 4; ++i) {
      store_quarters(TagT(), out[i], to + (k + i) * rows, 4 * rows);
    }
  }
  return k;
}

#endif

// One block of x becomes `to` [K][rows].
void pack_block(const ConstMatrix& x, std::size_t first, std::size_t rows, float* to) {
  for (std::size_t r = 0; r < rows; r += 4) {
    const std::size_t count = std::min<std::size_t>(4, rows - r);
    const std::size_t done = count == 4 ? pack_four(x, first + r, rows, to + r) : 0;
    for (std::size_t i = r; i < r + count; ++i) {
      const float* from = x.row(first + i);
      for (std::size_t k = done; k < x.cols; ++k) to[k * rows + i] = from[k];
    }
  }
}

void pack(ConstMatrix x, std::size_t block_begin, std::size_t block_end, float* packed) {
  for (std::size_t b = block_begin; b < block_end; ++b) {
    const std::size_t first = b * kMicroRows;
    const std::size_t rows = std::min(kMicroRows, x.rows - first);
    pack_block(x, first, rows, packed + first * x.cols);
  }
}

// Outputs [first, first + count) of y, count <= kMicroCols.
struct Strip {
  std::size_t first;
  std::size_t count;
};

void add_bias(const LinearJob& job, const Strip& strip, std::size_t row, std::size_t rows) {
  for (std::size_t t = row; t < row + rows; ++t) {
    float* y = job.y.row(t) + strip.first;
    for (std::size_t n = 0; n < strip.count; ++n) y[n] += job.bias[strip.first + n];
  }
}

// A strip that is cut by the end of y works on a copy of its part of y.
void micro_edge(const LinearJob& job, const Strip& strip, std::size_t row, std::size_t rows,
                MicroTile tile) {
  float copy[kMicroRows * kMicroCols] = {};
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(job.y.row(row + r) + strip.first, strip.count, copy + r * kMicroCols);
  }
  tile.c = copy;
  tile.c_stride = kMicroCols;
  kMicros<0>[rows - 1](tile);
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(copy + r * kMicroCols, strip.count, job.y.row(row + r) + strip.first);
  }
}

// The rows of y that come next are far apart; asked for one by one they would miss the cache.
void prefetch_block(const Matrix& y, std::size_t row, std::size_t col) {
  for (std::size_t t = row; t < std::min(row + kMicroRows, y.rows); ++t) {
    hwy::Prefetch(y.row(t) + col);
  }
}

// y [:, strip] (+)= x [:, k_begin ...) tile.
void multiply_strip(const LinearJob& job, const Strip& strip, const float* packed,
                    std::size_t k_begin, std::size_t k_end, const float* tile) {
  const bool last = k_end == job.x.cols;
  for (std::size_t row = 0; row < job.x.rows; row += kMicroRows) {
    const std::size_t rows = std::min(kMicroRows, job.x.rows - row);
    const MicroTile t{.k = k_end - k_begin,
                      .a = packed + row * job.x.cols + k_begin * rows,
                      .b = tile,
                      .b_stride = kMicroCols,
                      .c = job.y.row(row) + strip.first,
                      .c_stride = job.y.stride,
                      .accumulate = k_begin > 0};
    prefetch_block(job.y, row + kMicroRows, strip.first);
    if (strip.count == kMicroCols) {
      kMicros<0>[rows - 1](t);
    } else {
      micro_edge(job, strip, row, rows, t);
    }
    if (last && job.bias != nullptr) add_bias(job, strip, row, rows);
  }
}

// Tiles of equal length: a short one at the end would hardly pay for loading and storing y.
std::size_t tile_length(std::size_t k) {
  const std::size_t tiles = (k + kTileK - 1) / kTileK;
  return ((k + tiles - 1) / tiles + kGroupK - 1) / kGroupK * kGroupK;
}

void gemm(const LinearJob& job, const float* packed, std::size_t panel_begin, std::size_t panel_end,
          float* tile) {
  const auto decode = decoder_of(job.w.dtype).tile;
  const std::size_t step = tile_length(job.w.cols);
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    for (std::size_t lane = 0; lane < kPanelOutputs; lane += kMicroCols) {
      const std::size_t first = p * kPanelOutputs + lane;
      if (first >= job.w.rows) break;
      const Strip strip{first, std::min(kMicroCols, job.w.rows - first)};
      for (std::size_t k = 0; k < job.w.cols; k += step) {
        const std::size_t k_end = std::min(k + step, job.w.cols);
        decode(job.w.panel(p), lane, k, k_end, tile);
        multiply_strip(job, strip, packed, k, k_end, tile);
      }
    }
  }
}

void decode_panel(const PanelWeight& w, std::size_t p, std::size_t k_begin, std::size_t k_end,
                  float* tile) {
  decoder_of(w.dtype).tile(w.panel(p), 0, k_begin, k_end, tile);
}

// Decodes the columns that hold the row and drops the others.
void decode_row(const PanelWeight& w, std::size_t row, float* out) {
  HWY_ALIGN float tile[kGroupK * kMicroCols];
  const std::size_t first = row % kPanelOutputs / kMicroCols * kMicroCols;
  const float* column = tile + row % kPanelOutputs - first;
  for (std::size_t k = 0; k < w.cols; k += kGroupK) {
    const std::size_t count = std::min(kGroupK, w.cols - k);
    decoder_of(w.dtype).tile(w.panel(row / kPanelOutputs), first, k, k + count, tile);
    for (std::size_t j = 0; j < count; ++j) out[k + j] = column[j * kMicroCols];
  }
}

}  // namespace

LinearKernels make_linear_kernels() {
  // Twice kGemvRows read each panel twice, the second time from the cache.
  return {.gemv_rows = 2 * kGemvRows,
          .block_rows = kMicroRows,
          .tile_bytes = kTileK * kMicroCols * sizeof(float),
          .gemv = &gemv,
          .pack = &pack,
          .gemm = &gemm,
          .decode_panel = kMicroCols == kPanelOutputs ? &decode_panel : nullptr,
          .decode_row = &decode_row};
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve {

HWY_EXPORT(make_linear_kernels);

LinearKernels linear_kernels(std::int64_t target) {
  return VARVE_DISPATCH(make_linear_kernels, target)();
}

}  // namespace varve
#endif
