// Tiles of cached rows in the integer formats: the members of PlainRows (plain_rows-inl.h) for
// them. A block of keys is one channel of kRowGroup keys, so keys lie transposed already. Compiled
// once per instruction set.
#if defined(VARVE_CPU_GROUP_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_GROUP_ROWS_INL_H
#undef VARVE_CPU_GROUP_ROWS_INL_H
#else
#define VARVE_CPU_GROUP_ROWS_INL_H
#endif

#include "kernels/cpu/attend_direct-inl.h"
#include "kernels/cpu/attend_run.h"
#include "kernels/cpu/group_block-inl.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

#if VARVE_ATTEND_DIRECT

/// kRowGroup sums for each of R queries, in registers.
template <DType kType, std::size_t R>
class GroupSums {
 public:
  HWY_INLINE GroupSums() {}  // to be compiled for the instruction set at hand

  HWY_INLINE void clear() {
    VARVE_UNROLL
    for (std::size_t i = 0; i < kBlockVectors * R; ++i) sums_[i / R][i % R] = hn::Zero(TagG());
  }
  /// Row r of `from` has the sums of query r.
  HWY_INLINE void load(const float* from, std::size_t stride) {
    VARVE_UNROLL
    for (std::size_t i = 0; i < kBlockVectors * R; ++i) {
      const float* at = from + i % R * stride + BlockReader<kType>::index(i / R);
      sums_[i / R][i % R] = hn::LoadU(TagG(), at);
    }
  }
  HWY_INLINE void store(float* to, std::size_t stride) const {
    VARVE_UNROLL
    for (std::size_t i = 0; i < kBlockVectors * R; ++i) {
      float* at = to + i % R * stride + BlockReader<kType>::index(i / R);
      hn::StoreU(sums_[i / R][i % R], TagG(), at);
    }
  }
  /// Adds a block's numbers, times factors[r * stride] to those of query r.
  HWY_INLINE void add(const std::uint8_t* block, const float* factors, std::size_t stride) {
    BlockReader<kType> reader(block);
    VARVE_UNROLL
    for (std::size_t v = 0; v < kBlockVectors; ++v) {
      const VecG numbers = reader.next(v);
      VARVE_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        sums_[v][r] = hn::MulAdd(hn::Set(TagG(), factors[r * stride]), numbers, sums_[v][r]);
      }
    }
  }

 private:
  VecG sums_[kBlockVectors][R];
};

#endif  // VARVE_ATTEND_DIRECT

template <DType kType>
struct GroupRows {
  static constexpr std::size_t kBytes = kBlockBytes<kType>;
  static_assert(kTileKeys % kRowGroup == 0);

  static void decode_keys(const std::uint8_t* keys, std::size_t /*count*/, const KeyRange& range,
                          std::size_t dim, float* out) {
    for (std::size_t k = range.begin / kRowGroup * kRowGroup; k < range.end; k += kRowGroup) {
      const std::uint8_t* block = keys + k / kRowGroup * dim * kBytes;
      for (std::size_t d = 0; d < dim; ++d, block += kBytes) {
        prefetch_ahead<kBytes>(block);
        decode_block<kType>(block, out + d * kTileKeys + k);
      }
    }
  }

  static void decode_values(const std::uint8_t* values, std::size_t rows, std::size_t dim,
                            float* out, std::size_t stride) {
    for (std::size_t k = 0; k < rows; ++k, out += stride) {
      for (std::size_t d = 0; d < dim; d += kRowGroup, values += kBytes) {
        prefetch_ahead<kBytes>(values);
        decode_block<kType>(values, out + d);
      }
    }
  }

#if VARVE_ATTEND_DIRECT

  template <std::size_t R>
  static void score(const std::uint8_t* keys, std::size_t dim, const float* queries,
                    const KeyRange& range, float* weights) {
    for (std::size_t k = range.begin / kRowGroup * kRowGroup; k < range.end; k += kRowGroup) {
      const std::uint8_t* blocks = keys + k / kRowGroup * dim * kBytes;
      GroupSums<kType, R> sums;
      sums.clear();
      for (std::size_t d = 0; d < dim; ++d) {
        prefetch_ahead<kBytes>(blocks + d * kBytes);
        sums.add(blocks + d * kBytes, queries + d * R, 1);
      }
      sums.store(weights + k, kTileKeys);
    }
  }

  template <std::size_t R>
  static void add_values(const std::uint8_t* values, std::size_t dim, const float* weights,
                         const KeyRange& range, float* out, std::size_t out_stride) {
    const std::size_t row_bytes = dim / kRowGroup * kBytes;
    for (std::size_t d = 0; d < dim; d += kRowGroup) {
      const std::uint8_t* blocks = values + d / kRowGroup * kBytes;
      GroupSums<kType, R> sums;
      sums.load(out + d, out_stride);
      for (std::size_t k = range.begin; k < range.end; ++k) {
        prefetch_ahead<kBytes>(blocks + k * row_bytes);
        sums.add(blocks + k * row_bytes, weights + k, kTileKeys);
      }
      sums.store(out + d, out_stride);
    }
  }

#endif  // VARVE_ATTEND_DIRECT
};

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
