#include "kernels/cpu/targets.h"
// Highway includes this file once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rows.cc"
#include "hwy/foreach_target.h"
// Behind foreach_target.h, by Highway's rules.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/group_block-inl.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/float16.h"
#include "kernels/host_memory.h"
#include "kernels/reference/dequantize.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {
namespace {

// A whole vector, or the first `left` elements and zeros.
HWY_INLINE VecF load_some(const float* from, std::size_t left) {
  const TagF d;
  if (left >= kLanes) return hn::LoadU(d, from);
  HWY_ALIGN float lanes[kLanes] = {};
  std::copy_n(from, left, lanes);
  return hn::Load(d, lanes);
}

HWY_INLINE void store_some(VecF value, std::size_t left, float* to) {
  const TagF d;
  if (left >= kLanes) return hn::StoreU(value, d, to);
  HWY_ALIGN float lanes[kLanes];
  hn::Store(value, d, lanes);
  std::copy_n(lanes, left, to);
}

float sum_of_squares(std::span<const float> x) {
  const TagF d;
  VecF even = hn::Zero(d);
  VecF odd = hn::Zero(d);
  for (std::size_t i = 0; i < x.size(); i += 2 * kLanes) {
    const VecF a = load_some(x.data() + i, x.size() - i);
    even = hn::MulAdd(a, a, even);
    if (i + kLanes >= x.size()) break;
    const VecF b = load_some(x.data() + i + kLanes, x.size() - i - kLanes);
    odd = hn::MulAdd(b, b, odd);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
}

void normalise(std::span<const float> x, const float* gain, double eps, float* y) {
  const TagF d;
  const double mean = double{sum_of_squares(x)} / static_cast<double>(x.size());
  const VecF factor = hn::Set(d, static_cast<float>(1.0 / std::sqrt(mean + eps)));
  for (std::size_t i = 0; i < x.size(); i += kLanes) {
    const std::size_t left = x.size() - i;
    const VecF scaled = hn::Mul(load_some(x.data() + i, left), factor);
    store_some(hn::Mul(scaled, load_some(gain + i, left)), left, y + i);
  }
}

void rms_norm(ConstMatrix x, std::span<const float> gain, double eps, Matrix y, std::size_t begin,
              std::size_t end) {
  for (std::size_t t = begin; t < end; ++t) {
    for (std::size_t at = 0; at < x.cols; at += gain.size()) {
      normalise({x.row(t) + at, gain.size()}, gain.data(), eps, y.row(t) + at);
    }
  }
}

// Plain loops: the compiler makes vectors of them, and every element is independent.
void rotate_halves(float* HWY_RESTRICT first, float* HWY_RESTRICT second,
                   const float* HWY_RESTRICT cosine, const float* HWY_RESTRICT sine,
                   std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) {
    const float a = first[i];
    const float b = second[i];
    first[i] = a * cosine[i] - b * sine[i];
    second[i] = a * sine[i] + b * cosine[i];
  }
}

void rotate_interleaved(float* HWY_RESTRICT head, const float* HWY_RESTRICT cosine,
                        const float* HWY_RESTRICT sine, std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) {
    const float a = head[2 * i];
    const float b = head[2 * i + 1];
    head[2 * i] = a * cosine[i] - b * sine[i];
    head[2 * i + 1] = a * sine[i] + b * cosine[i];
  }
}

void rope(Matrix x, ConstMatrix cos_sin, std::size_t head_dim, RopeLayout layout, std::size_t begin,
          std::size_t end) {
  const std::size_t pairs = cos_sin.cols / 2;
  for (std::size_t t = begin; t < end; ++t) {
    const float* cosine = cos_sin.row(t);
    for (float* head = x.row(t); head < x.row(t) + x.cols; head += head_dim) {
      if (layout == RopeLayout::kHalves) {
        rotate_halves(head, head + pairs, cosine, cosine + pairs, pairs);
      } else {
        rotate_interleaved(head, cosine, cosine + pairs, pairs);
      }
    }
  }
}

void silu_mul(ConstMatrix gate, ConstMatrix up, Matrix y, std::size_t begin, std::size_t end) {
  const TagF d;
  for (std::size_t t = begin; t < end; ++t) {
    for (std::size_t i = 0; i < y.cols; i += kLanes) {
      const std::size_t left = y.cols - i;
      const VecF g = load_some(gate.row(t) + i, left);
      const VecF silu = hn::Div(g, hn::Add(exp_approx(hn::Neg(g)), hn::Set(d, 1.0F)));
      store_some(hn::Mul(silu, load_some(up.row(t) + i, left)), left, y.row(t) + i);
    }
  }
}

void add(ConstMatrix x, Matrix y, std::size_t begin, std::size_t end) {
  for (std::size_t t = begin; t < end; ++t) {
    const float* from = x.row(t);
    float* to = y.row(t);
    for (std::size_t i = 0; i < y.cols; ++i) to[i] += from[i];
  }
}

float largest_of(std::span<const float> x) {
  const TagF d;
  VecF most = hn::Set(d, x.front());
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) most = hn::Max(most, hn::LoadU(d, x.data() + i));
  float largest = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < x.size(); ++i) largest = std::max(largest, x[i]);
  return largest;
}

PieceSummary summarize(std::span<const float> x) {
  const TagF d;
  const float largest = largest_of(x);
  const VecF base = hn::Set(d, largest);
  constexpr std::size_t kChains = 4;
  VecF sums[kChains] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  std::size_t i = 0;
  for (; i + kChains * kLanes <= x.size(); i += kChains * kLanes) {
    VARVE_UNROLL
    for (std::size_t c = 0; c < kChains; ++c) {
      const VecF value = hn::LoadU(d, x.data() + i + c * kLanes);
      sums[c] = hn::Add(sums[c], exp_approx(hn::Sub(value, base)));
    }
  }
  for (; i < x.size(); i += kLanes) {
    HWY_ALIGN float rest[kLanes];
    std::fill_n(rest, kLanes, -std::numeric_limits<float>::infinity());
    std::copy_n(x.data() + i, std::min(kLanes, x.size() - i), rest);
    sums[0] = hn::Add(sums[0], exp_approx(hn::Sub(hn::Load(d, rest), base)));
  }
  const VecF sum = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
  const auto top = std::find(x.begin(), x.end(), largest) - x.begin();
  return {static_cast<std::size_t>(top), largest, hn::GetLane(hn::SumOfLanes(d, sum))};
}

void encode_f16(const float* from, std::size_t count, std::uint16_t* to) {
  std::size_t i = 0;
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2) || HWY_ARCH_ARM_A64
  // The one narrowing instruction rounds to nearest even; elsewhere Highway emulates it inexactly.
  const hn::Rebind<hwy::float16_t, TagF> half;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(hn::DemoteTo(half, hn::LoadU(TagF(), from + i)), half,
               reinterpret_cast<hwy::float16_t*>(to + i));
  }
#endif
  for (; i < count; ++i) to[i] = f32_to_f16(from[i]);
}

void encode(DType dtype, const float* from, std::size_t count, void* to) {
  if (dtype == DType::kF32) return copy_host(to, from, count * sizeof(float));
  auto* halves = static_cast<std::uint16_t*>(to);
  if (dtype == DType::kF16) return encode_f16(from, count, halves);
  for (std::size_t i = 0; i < count; ++i) halves[i] = f32_to_bf16(from[i]);
}

template <DType kType>
void decode_plain_row(const std::uint8_t* from, std::size_t count, float* to) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(load_plain<kType>(TagF(), from + i * kPlainBytes<kType>), TagF(), to + i);
  }
  if (i < count) dequantize(kType, from + i * kPlainBytes<kType>, count - i, to + i);
}

template <DType kType>
void decode_blocks(const std::uint8_t* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; i += kRowGroup, from += kBlockBytes<kType>) {
    decode_block<kType>(from, to + i);
  }
}

// `count` numbers that lie one behind the other, whole blocks of the integer formats.
using DecodeRow = void (*)(const std::uint8_t* from, std::size_t count, float* to);
DecodeRow decode_row_of(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return &decode_plain_row<DType::kF16>;
    case DType::kBF16:
      return &decode_plain_row<DType::kBF16>;
    case DType::kInt8:
      return &decode_blocks<DType::kInt8>;
    case DType::kInt4:
      return &decode_blocks<DType::kInt4>;
    case DType::kInt2:
      return &decode_blocks<DType::kInt2>;
    default:
      return &decode_plain_row<DType::kF32>;
  }
}

void decode_rows_at(const SegmentView& s, const void* base, std::size_t row, Matrix out,
                    std::size_t begin, std::size_t end) {
  const DecodeRow decode = decode_row_of(s.dtype);
  const std::size_t bytes = row_bytes(s.dtype, s.head_dim);
  const auto* rows = static_cast<const std::uint8_t*>(base) + row * bytes;
  for (std::size_t i = begin; i < end; ++i) decode(rows + i * bytes, s.head_dim, out.row(i));
}

void decode_values(const SegmentView& from, std::size_t head, std::size_t first, Matrix values,
                   std::size_t begin, std::size_t end) {
  decode_rows_at(from, from.values, from.heads[head].begin + first, values, begin, end);
}

// Keys of the integer formats: channel by channel of each group that has some of the rows.
void decode_key_groups(const SegmentView& s, std::size_t row, Matrix keys, std::size_t begin,
                       std::size_t end) {
  const DecodeRow decode = decode_row_of(s.dtype);
  for (std::size_t i = begin; i < end;) {
    const std::size_t at = (row + i) % kRowGroup;
    const std::size_t count = std::min(kRowGroup - at, end - i);
    const auto* block =
        static_cast<const std::uint8_t*>(s.keys) + key_bytes(s.dtype, row + i - at, s.head_dim);
    for (std::size_t d = 0; d < s.head_dim; ++d, block += group_format(s.dtype).bytes) {
      float channel[kRowGroup];
      decode(block, kRowGroup, channel);
      for (std::size_t n = 0; n < count; ++n) keys.row(i + n)[d] = channel[at + n];
    }
    i += count;
  }
}

void decode_keys(const SegmentView& from, std::size_t head, std::size_t first, Matrix keys,
                 std::size_t begin, std::size_t end) {
  const std::size_t row = from.heads[head].begin + first;
  if (is_grouped(from.dtype)) return decode_key_groups(from, row, keys, begin, end);
  decode_rows_at(from, from.keys, row, keys, begin, end);
}

}  // namespace

RowKernels make_row_kernels() {
  return {.rms_norm = &rms_norm,
          .rope = &rope,
          .silu_mul = &silu_mul,
          .add = &add,
          .summarize = &summarize,
          .encode = &encode,
          .decode_keys = &decode_keys,
          .decode_values = &decode_values};
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve {

HWY_EXPORT(make_row_kernels);

RowKernels row_kernels(std::int64_t target) {
  return VARVE_DISPATCH(make_row_kernels, target)();
}

}  // namespace varve
#endif
