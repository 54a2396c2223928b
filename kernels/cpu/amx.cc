#include "kernels/cpu/amx.h"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

// GCC 12 warns of its own intrinsics (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

// Of single functions, not of this file: what it takes from headers must run on every machine.
#define VARVE_AMX \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))

namespace varve {
namespace {

// --- what the machine has ---

constexpr unsigned kXTileData = 18;  // of the states that the system saves for a thread

bool cpu_has_amx() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool tiles = (d >> 24U & 1U) != 0 && (d >> 22U & 1U) != 0;  // AMX-TILE, AMX-BF16
  if (!tiles || a < 1) return false;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return false;
  return (a >> 5U & 1U) != 0;  // AVX512_BF16
}

// The system grants a process the tiles, 8 KiB for each thread, only if it asks.
bool system_grants_amx() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kXTileData) == 0;
#else
  return false;
#endif
}

// --- tiles ---

// A tile: 16 rows of 64 bytes. One of x has 16 rows of it, 32 k; one of w has 16 pairs of k, each
// for 16 outputs: (k, k + 1) of the first, of the second ...; one of y has 16 rows of 16 outputs.
constexpr std::size_t kTileRows = 16;
constexpr std::size_t kTileBytes = 1024;
constexpr std::size_t kRowBytes = 64;
constexpr std::size_t kStepK = 32;                  // k of a tile
constexpr std::size_t kStepBytes = 4 * kTileBytes;  // of x: hi of 2 x 16 rows, lo; of w likewise
// Of w at a time: the more, the less often y is read and written again; the same k of 512 rows of x
// still fit into 2 MiB.
constexpr std::size_t kBlockSteps = 18;

static_assert(kAmxBlockRows == 2 * kTileRows && kPanelOutputs == 2 * kTileRows &&
              kGroupK == kStepK);

struct alignas(kRowBytes) Scratch {
  std::uint8_t weights[kBlockSteps * kStepBytes];
  float decoded[kStepK * kPanelOutputs];
  float edge[kAmxBlockRows * kPanelOutputs];  // a part of y that is cut by its end
};

struct alignas(kRowBytes) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};  // by tile; there are 8
  std::uint8_t rows[16] = {};
};

// The tiles of the calling thread. A thread that keeps them costs the system time whenever it
// changes between threads.
class Tiles {
 public:
  VARVE_AMX Tiles() {
    TileConfig config;
    for (std::size_t i = 0; i < 8; ++i) {
      config.row_bytes[i] = kRowBytes;
      config.rows[i] = kTileRows;
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    _tile_loadconfig(&config);
  }
  VARVE_AMX ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// y [32 rows, 32 outputs] (+)= x w over `steps` times 32 k.
struct Block {
  const std::uint8_t* x;
  const std::uint8_t* w;
  std::size_t steps;
  float* y;
  std::size_t y_stride;
  bool accumulate;
};

// Tiles 0 to 3 are y: rows 0, 0, 16, 16, outputs 0, 16, 0, 16. One step takes x in 4, 5 and w in 6,
// 7 three times over, each with four products that do not wait for each other.
VARVE_AMX void multiply(const Block& block) {
  const std::size_t stride = block.y_stride * sizeof(float);
  float* lower = block.y + kTileRows * block.y_stride;
  if (block.accumulate) {
    _tile_loadd(0, block.y, stride);
    _tile_loadd(1, block.y + kTileRows, stride);
    _tile_loadd(2, lower, stride);
    _tile_loadd(3, lower + kTileRows, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const std::uint8_t* x = block.x;
  const std::uint8_t* w = block.w;
  for (std::size_t step = 0; step < block.steps; ++step) {
    _tile_loadd(4, x, kRowBytes);
    _tile_loadd(6, w, kRowBytes);
    _tile_loadd(7, w + kTileBytes, kRowBytes);
    _tile_loadd(5, x + kTileBytes, kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    _tile_loadd(6, w + 2 * kTileBytes, kRowBytes);
    _tile_loadd(7, w + 3 * kTileBytes, kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    _tile_loadd(4, x + 2 * kTileBytes, kRowBytes);
    _tile_loadd(6, w, kRowBytes);
    _tile_loadd(7, w + kTileBytes, kRowBytes);
    _tile_loadd(5, x + 3 * kTileBytes, kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    x += kStepBytes;
    w += kStepBytes;
  }
  _tile_stored(0, block.y, stride);
  _tile_stored(1, block.y + kTileRows, stride);
  _tile_stored(2, lower, stride);
  _tile_stored(3, lower + kTileRows, stride);
}

// --- splitting ---

// The bfloat16 numbers of `low` (16 float32), then of `high`, rounded to nearest.
VARVE_AMX inline __m512i round_both(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

VARVE_AMX inline __m512 widen(__m256i bf16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

// One row of a tile of x, 32 k.
VARVE_AMX inline void split_row(const float* from, std::uint8_t* hi, std::uint8_t* lo) {
  const __m512 left = _mm512_loadu_ps(from);
  const __m512 right = _mm512_loadu_ps(from + 16);
  const __m512i rounded = round_both(left, right);
  const __m512 left_rest = _mm512_sub_ps(left, widen(_mm512_castsi512_si256(rounded)));
  const __m512 right_rest = _mm512_sub_ps(right, widen(_mm512_extracti64x4_epi64(rounded, 1)));
  _mm512_store_si512(hi, rounded);
  _mm512_store_si512(lo, round_both(left_rest, right_rest));
}

// One row of a tile of w: k and k + 1 of 16 outputs.
VARVE_AMX inline void split_pair(const float* k0, const float* k1, __m512i order, std::uint8_t* hi,
                                 std::uint8_t* lo) {
  const __m512 even = _mm512_load_ps(k0);
  const __m512 odd = _mm512_load_ps(k1);
  const __m512i pairs = _mm512_permutexvar_epi16(order, round_both(even, odd));
  const __m512 even_hi = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
  const __m512 odd_hi =
      _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
  const __m512i rest = round_both(_mm512_sub_ps(even, even_hi), _mm512_sub_ps(odd, odd_hi));
  _mm512_store_si512(hi, pairs);
  _mm512_store_si512(lo, _mm512_permutexvar_epi16(order, rest));
}

// `to`: hi of outputs [0, 16) and [16, 32), then lo. `decoded` [32 k][32 outputs].
VARVE_AMX void split_weights(const float* decoded, std::uint8_t* to) {
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  // Words 0, 16, 1, 17, ...: lane i takes words i and 16 + i.
  const __m512i order =
      _mm512_or_si512(lanes, _mm512_slli_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(16)), 16));
  for (std::size_t pair = 0; pair < kStepK / 2; ++pair) {
    const float* k0 = decoded + 2 * pair * kPanelOutputs;
    const float* k1 = k0 + kPanelOutputs;
    for (std::size_t half = 0; half < 2; ++half) {
      std::uint8_t* hi = to + half * kTileBytes + pair * kRowBytes;
      split_pair(k0 + half * kTileRows, k1 + half * kTileRows, order, hi, hi + 2 * kTileBytes);
    }
  }
}

std::size_t steps_of(std::size_t cols) {
  return (cols + kStepK - 1) / kStepK;
}

// Row r of a block of x, all of its k. `block`: its first step.
VARVE_AMX void pack_row(const float* from, std::size_t cols, std::size_t r, std::uint8_t* block) {
  std::uint8_t* hi = block + r * kRowBytes;  // tiles of one kind follow each other
  std::size_t k = 0;
  for (; k + kStepK <= cols; k += kStepK, hi += kStepBytes) {
    split_row(from + k, hi, hi + 2 * kTileBytes);
  }
  if (k == cols) return;
  float rest[kStepK] = {};
  std::copy_n(from + k, cols - k, rest);
  split_row(rest, hi, hi + 2 * kTileBytes);
}

void clear_row(std::size_t steps, std::size_t r, std::uint8_t* block) {
  std::uint8_t* hi = block + r * kRowBytes;
  for (std::size_t step = 0; step < steps; ++step, hi += kStepBytes) {
    std::fill_n(hi, kRowBytes, std::uint8_t{0});
    std::fill_n(hi + 2 * kTileBytes, kRowBytes, std::uint8_t{0});
  }
}

// --- one panel ---

void decode_weights(const LinearJob& job, DecodePanel decode, std::size_t p, std::size_t step_begin,
                    std::size_t steps, Scratch& scratch) {
  for (std::size_t s = 0; s < steps; ++s) {
    const std::size_t k = (step_begin + s) * kStepK;
    const std::size_t count = std::min(kStepK, job.w.cols - k);
    decode(job.w, p, k, k + count, scratch.decoded);
    std::fill(scratch.decoded + count * kPanelOutputs, std::end(scratch.decoded), 0.0F);
    split_weights(scratch.decoded, scratch.weights + s * kStepBytes);
  }
}

void copy_rows(const float* from, std::size_t from_stride, std::size_t rows, std::size_t cols,
               float* to, std::size_t to_stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(from + r * from_stride, cols, to + r * to_stride);
  }
}

// A block that the end of y cuts works on a copy of its part of y.
void multiply_edge(Block block, std::size_t rows, std::size_t outputs, Scratch& scratch) {
  float* const y = block.y;
  const std::size_t stride = block.y_stride;
  if (block.accumulate) copy_rows(y, stride, rows, outputs, scratch.edge, kPanelOutputs);
  block.y = scratch.edge;
  block.y_stride = kPanelOutputs;
  multiply(block);
  copy_rows(scratch.edge, kPanelOutputs, rows, outputs, y, stride);
}

void add_bias(const float* bias, std::size_t rows, std::size_t outputs, float* y,
              std::size_t stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t n = 0; n < outputs; ++n) y[r * stride + n] += bias[n];
  }
}

// y [:, panel p] (+)= x [:, steps] w of scratch.
void multiply_panel(const LinearJob& job, const std::uint8_t* packed, std::size_t p,
                    std::size_t step_begin, std::size_t steps, Scratch& scratch) {
  const std::size_t first = p * kPanelOutputs;
  const std::size_t outputs = std::min(kPanelOutputs, job.w.rows - first);
  const std::size_t all = steps_of(job.x.cols);
  const bool last = step_begin + steps == all;
  for (std::size_t row = 0; row < job.x.rows; row += kAmxBlockRows) {
    const std::size_t rows = std::min(kAmxBlockRows, job.x.rows - row);
    const std::size_t at = row / kAmxBlockRows * all + step_begin;
    float* y = job.y.row(row) + first;
    const Block block{
        packed + at * kStepBytes, scratch.weights, steps, y, job.y.stride, step_begin > 0};
    if (rows == kAmxBlockRows && outputs == kPanelOutputs) {
      multiply(block);
    } else {
      multiply_edge(block, rows, outputs, scratch);
    }
    if (last && job.bias != nullptr) add_bias(job.bias + first, rows, outputs, y, job.y.stride);
  }
}

}  // namespace

bool has_amx() {
  static const bool has = cpu_has_amx() && system_grants_amx();
  return has;
}

std::size_t amx_packed_bytes(std::size_t rows, std::size_t cols) {
  return (rows + kAmxBlockRows - 1) / kAmxBlockRows * steps_of(cols) * kStepBytes;
}

std::size_t amx_scratch_bytes() {
  return sizeof(Scratch);
}

void amx_pack(ConstMatrix x, std::size_t block_begin, std::size_t block_end, void* packed) {
  const std::size_t steps = steps_of(x.cols);
  for (std::size_t b = block_begin; b < block_end; ++b) {
    auto* block = static_cast<std::uint8_t*>(packed) + b * steps * kStepBytes;
    for (std::size_t r = 0; r < kAmxBlockRows; ++r) {
      const std::size_t row = b * kAmxBlockRows + r;
      if (row < x.rows) {
        pack_row(x.row(row), x.cols, r, block);
      } else {
        clear_row(steps, r, block);
      }
    }
  }
}

void amx_gemm(const LinearJob& job, DecodePanel decode, const void* packed, std::size_t panel_begin,
              std::size_t panel_end, void* scratch) {
  auto& own = *static_cast<Scratch*>(scratch);
  const Tiles tiles;
  const std::size_t all = steps_of(job.w.cols);
  for (std::size_t step = 0; step < all; step += kBlockSteps) {
    const std::size_t steps = std::min(kBlockSteps, all - step);
    for (std::size_t p = panel_begin; p < panel_end; ++p) {
      decode_weights(job, decode, p, step, steps, own);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // the tiles' loads are unknown to GCC
      multiply_panel(job, static_cast<const std::uint8_t*>(packed), p, step, steps, own);
    }
  }
}

}  // namespace varve
