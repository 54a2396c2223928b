// Blocks of the integer formats of cached rows (kernels/row_groups.h), decoded in registers.
// Compiled once per instruction set; the decoded numbers are the same on all of them.
#if defined(VARVE_CPU_GROUP_BLOCK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_GROUP_BLOCK_INL_H
#undef VARVE_CPU_GROUP_BLOCK_INL_H
#else
#define VARVE_CPU_GROUP_BLOCK_INL_H
#endif

#include <cstring>

#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/targets.h"
#include "kernels/float16.h"
#include "kernels/row_groups.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

// The eight bytes of a block of int2 fill one vector of this many lanes.
using TagG = hn::CappedTag<float, 8>;
using VecG = hn::Vec<TagG>;
inline constexpr std::size_t kGroupLanes = hn::MaxLanes(TagG());
inline constexpr std::size_t kBlockVectors = kRowGroup / kGroupLanes;

template <DType kType>
inline constexpr std::size_t kBlockBytes = group_format(kType).bytes;

/// Reads a block as kBlockVectors vectors of consecutive numbers: next() gives the vector at
/// number index(0), then at index(1), and so on; codes that share their bytes come one after the
/// other.
template <DType kType>
class BlockReader {
 public:
  HWY_INLINE explicit BlockReader(const std::uint8_t* block)
      : codes_(block + kGroupHeader), word_(hn::Zero(TagCode())) {
    float scale;
    float minimum;
    load_header(block, &scale, &minimum);
    scale_ = hn::Set(TagG(), scale);
    minimum_ = hn::Set(TagG(), minimum);
  }

  static constexpr std::size_t index(std::size_t v) {
    return v / kPlanes * kGroupLanes + v % kPlanes * kFormat.stride;
  }

  /// v is a constant once the caller's loop is unrolled.
  HWY_INLINE VecG next(std::size_t v) {
    const TagCode d;
    if (v % kPlanes == 0) {
      const hn::Rebind<std::uint8_t, TagG> bytes;
      word_ = hn::PromoteTo(d, hn::LoadU(bytes, codes_ + v / kPlanes * kGroupLanes));
    }
    auto code = word_;
    if constexpr (kPlanes > 1) {
      code = hn::And(word_, hn::Set(d, (1 << kFormat.bits) - 1));
      word_ = hn::ShiftRight<static_cast<int>(kFormat.bits) % 8>(word_);
    }
    return hn::MulAdd(hn::ConvertTo(TagG(), code), scale_, minimum_);
  }

 private:
  using TagCode = hn::RebindToSigned<TagG>;
  static constexpr GroupFormat kFormat = group_format(kType);
  static constexpr std::size_t kPlanes = 8 / kFormat.bits;  // codes of a byte

  static HWY_INLINE void load_header(const std::uint8_t* block, float* scale, float* minimum) {
#if HWY_TARGET == HWY_SCALAR
    std::uint16_t halves[2];
    std::memcpy(halves, block, sizeof(halves));
    *scale = f16_to_f32(halves[0]);
    *minimum = f16_to_f32(halves[1]);
#else
    const auto four = load_f16(hn::CappedTag<float, 4>(), block);  // a block is longer
    *scale = hn::GetLane(four);
    *minimum = hn::ExtractLane(four, 1);
#endif
  }

  const std::uint8_t* codes_;
  hn::Vec<TagCode> word_;  // codes still to come
  VecG scale_;
  VecG minimum_;
};

/// All kRowGroup numbers of a block, in order.
template <DType kType>
HWY_INLINE void decode_block(const std::uint8_t* block, float* to) {
  BlockReader<kType> reader(block);
  VARVE_UNROLL
  for (std::size_t v = 0; v < kBlockVectors; ++v) {
    hn::StoreU(reader.next(v), TagG(), to + reader.index(v));
  }
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
