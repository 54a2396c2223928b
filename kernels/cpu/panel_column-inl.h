// One vector of outputs of a panel, decoded to float32 in k order. Compiled once per instruction
// set. The decoded weight is the one of kernels/reference/dequantize (but for the sign of zero)
// where the machine fuses multiply and add: scale * bits is exact, so only the sum rounds.
#if defined(VARVE_CPU_PANEL_COLUMN_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_PANEL_COLUMN_INL_H
#undef VARVE_CPU_PANEL_COLUMN_INL_H
#else
#define VARVE_CPU_PANEL_COLUMN_INL_H
#endif

#include "kernels/cpu/panel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

constexpr bool is_plain(DType t) {
  return t == DType::kF32 || t == DType::kF16 || t == DType::kBF16;
}
constexpr bool has_min(DType t) {
  return t == DType::kQ4_1 || t == DType::kQ5_1 || t == DType::kQ4_K || t == DType::kQ5_K;
}
constexpr bool has_fifth_bit(DType t) {
  return t == DType::kQ5_0 || t == DType::kQ5_1 || t == DType::kQ5_K;
}
constexpr float bias_of(DType t) {
  if (t == DType::kQ4_0) return 8;
  if (t == DType::kQ5_0) return 16;
  return t == DType::kQ6_K ? 32 : 0;
}

/// Nibbles that a column of one type uses where they stand in their word: nibble i there is 16^i
/// times itself, which a scale of d / 16^i undoes without rounding, and costs no shift. As many as
/// the registers hold beside the accumulators of `rows` rows (0: none).
constexpr std::size_t nibbles_in_place(DType t, std::size_t rows) {
  const bool only_nibbles = t == DType::kQ4_0 || t == DType::kQ4_1 || t == DType::kQ4_K;
#if HWY_TARGET == HWY_AVX3
  constexpr std::size_t most = 4;
  (void)rows;
#elif HWY_TARGET == HWY_NEON
  const std::size_t most = rows == 1 ? 2 : 4;  // one row advances twice the columns
#else
  const std::size_t most = rows <= 1 ? 2 : 1;
#endif
  return only_nibbles ? most : 1;
}

/// Weights of outputs [lane, lane + kLanes) of a panel: begin_group, then four times begin_word and
/// next(0) to next(7).
template <DType kType, std::size_t kInPlace>
class Column {
 public:
  // Written out because an implicit constructor would be compiled for the baseline.
  HWY_INLINE Column()
      : scale_(hn::Zero(TagF())),
        offset_(hn::Zero(TagF())),
        super_(hn::Zero(TagF())),
        word_(hn::Zero(TagU())),
        high_(hn::Zero(TagU())) {
    for (VecF& scale : shifted_) scale = hn::Zero(TagF());
  }

  HWY_INLINE void begin_group(const std::uint8_t* panel, std::size_t g, std::size_t lane) {
    const std::uint8_t* header = panel + kFormat.header_at(g);
    const std::uint8_t* group = panel + kFormat.group_at(g);
    low_ = group + kFormat.low + lane * kLowBytes;
    if constexpr (kType == DType::kQ4_K || kType == DType::kQ5_K) {
      scale_ = hn::Mul(load_f16(TagF(), header + 2 * lane), load_bytes<std::uint8_t>(group + lane));
      offset_ = hn::Neg(hn::Mul(load_f16(TagF(), header + 2 * (kPanelOutputs + lane)),
                                load_bytes<std::uint8_t>(group + kFormat.min + lane)));
    } else if constexpr (kType == DType::kQ6_K) {
      super_ = load_f16(TagF(), header + 2 * lane);
      sub_ = group + lane;
      high_at_ = group + kFormat.high + 4 * lane;
    } else if constexpr (!is_plain(kType)) {
      scale_ = load_f16(TagF(), group + 2 * lane);
      if constexpr (has_min(kType)) offset_ = load_f16(TagF(), group + kFormat.min + 2 * lane);
      if constexpr (bias_of(kType) != 0) subtract_bias();
    }
    if constexpr (kInPlace > 1) {
      VARVE_UNROLL
      for (std::size_t i = 1; i < kInPlace; ++i) {
        shifted_[i] = hn::Mul(scale_, hn::Set(TagF(), 1.0F / static_cast<float>(1U << 4 * i)));
      }
    }
    if constexpr (has_fifth_bit(kType)) high_ = load_u32(group + kFormat.high + 4 * lane);
  }

  /// Word w of the group: k = 8 w ... 8 w + 7.
  HWY_INLINE void begin_word(std::size_t w) {
    if constexpr (kNibbles) {
      word_ = load_u32(low_);
      low_ += 4 * kPanelOutputs;
    }
    if constexpr (kType == DType::kQ6_K) {
      if (w % 2 != 0) return;
      scale_ = hn::Mul(super_, load_bytes<std::int8_t>(sub_ + w / 2 * kPanelOutputs));
      subtract_bias();
      high_ = load_u32(high_at_ + w / 2 * 4 * kPanelOutputs);
    }
  }

  /// j is a constant once the caller's loop is unrolled.
  HWY_INLINE VecF next(std::size_t j) {
    if constexpr (kInPlace > 1) {
      return next_in_place(j % kInPlace);
    } else if constexpr (kNibbles) {
      const VecF bits = hn::ConvertTo(TagF(), hn::BitCast(TagI(), next_bits()));
      return hn::MulAdd(scale_, bits, offset_);
    } else {
      const std::uint8_t* at = low_;
      low_ += kLowBytes * kPanelOutputs;
      if constexpr (kType == DType::kQ8_0) return hn::Mul(scale_, load_bytes<std::int8_t>(at));
      if constexpr (is_plain(kType)) return load_plain<kType>(TagF(), at);
    }
  }

 private:
  static constexpr PanelFormat kFormat = panel_format(kType);
  static constexpr bool kNibbles = !is_plain(kType) && kType != DType::kQ8_0;
  /// Bytes of one output in one row of the low plane.
  static constexpr std::size_t kLowBytes =
      kNibbles || kType == DType::kF32 ? 4 : (kType == DType::kQ8_0 ? 1 : 2);

  static HWY_INLINE VecU load_u32(const std::uint8_t* at) {
    return hn::LoadU(TagU(), reinterpret_cast<const std::uint32_t*>(at));
  }

  HWY_INLINE void subtract_bias() { offset_ = hn::Mul(scale_, hn::Set(TagF(), -bias_of(kType))); }

  HWY_INLINE VecF next_in_place(std::size_t i) {
    const TagU d;
    const VecU bits = hn::And(word_, hn::Set(d, 15U << 4 * i));
    const VecF value = hn::ConvertTo(TagF(), hn::BitCast(TagI(), bits));
    if (i + 1 == kInPlace) word_ = hn::ShiftRight<4 * kInPlace>(word_);
    return hn::MulAdd(i == 0 ? scale_ : shifted_[i], value, offset_);
  }

  HWY_INLINE VecU next_bits() {
    const TagU d;
    VecU bits = hn::And(word_, hn::Set(d, 15));
    word_ = hn::ShiftRight<4>(word_);
    if constexpr (has_fifth_bit(kType)) {
      bits = hn::Or(bits, hn::ShiftLeft<4>(hn::And(high_, hn::Set(d, 1))));
      high_ = hn::ShiftRight<1>(high_);
    }
    if constexpr (kType == DType::kQ6_K) {
      bits = hn::Or(bits, hn::ShiftLeft<4>(hn::And(high_, hn::Set(d, 3))));
      high_ = hn::ShiftRight<2>(high_);
    }
    return bits;
  }

  const std::uint8_t* low_ = nullptr;      // next row of the low plane
  const std::uint8_t* sub_ = nullptr;      // Q6_K: scales of both halves of the group
  const std::uint8_t* high_at_ = nullptr;  // Q6_K: high planes of both halves
  VecF scale_;
  VecF offset_;
  VecF super_;              // Q6_K: d
  VecF shifted_[kInPlace];  // scale_ / 16^i
  VecU word_;               // nibbles still to come
  VecU high_;               // high bits still to come
};

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
