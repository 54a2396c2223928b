#include "kernels/cpu/targets.h"
// Highway includes this file once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attend_run.cc"
#include "hwy/foreach_target.h"
// Behind foreach_target.h, by Highway's rules.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/cpu/attend_direct-inl.h"
#include "kernels/cpu/attend_run.h"
#include "kernels/cpu/group_rows-inl.h"
#include "kernels/cpu/micro-inl.h"
#include "kernels/cpu/plain_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {
namespace {

inline constexpr float kNone = -std::numeric_limits<float>::infinity();

constexpr std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

// Where things stand in a thread's scratch; every array starts on a cache line.
class Scratch {
 public:
  Scratch(std::size_t queries, std::size_t head_dim, float* base)
      : values_stride(round_up(head_dim, kMicroCols)), at_(base), base_(base) {
    queries_packed = take(queries * head_dim);
    keys = take(head_dim * kTileKeys);
    values = take(kTileKeys * values_stride);
    weights = take(queries * kTileKeys);
    out = take(queries * values_stride);
    top = take(queries);
    total = take(queries * kLanes);
    lse = take(queries);
  }
  std::size_t floats() const { return static_cast<std::size_t>(at_ - base_); }

  std::size_t values_stride;
  float* queries_packed;  // blocks of kMicroRows queries, each [D][queries of the block],
                          // scaled so that their scores are exponents of two
  float* keys;            // [D][kTileKeys]
  float* values;          // [kTileKeys][values_stride]
  float* weights;         // [queries][kTileKeys]: scores, then their exponentials
  float* out;             // [queries][values_stride]: weighted values
  float* top;             // [queries]: what weights are relative to, see kSlack
  float* total;           // [queries][kLanes]: sums of exponentials, to be added up in the end
  float* lse;             // [queries]: in the end

 private:
  float* take(std::size_t floats) {
    float* at = at_;
    at_ += round_up(floats, 16);
    return at;
  }

  float* at_;
  float* base_;
};

std::size_t scratch_floats(std::size_t queries, std::size_t head_dim) {
  alignas(64) static float nothing[16];
  return Scratch(queries, head_dim, nothing).floats();
}

void load_queries(const QueryBlock& block, float* base) {
  const Scratch s(block.queries(), block.head_dim, base);
  const auto scale = static_cast<float>(block.scale * std::numbers::log2e);
  for (std::size_t i = 0; i < block.queries(); ++i) {
    const std::size_t first = i / kMicroRows * kMicroRows;
    const std::size_t rows = std::min(kMicroRows, block.queries() - first);
    const float* from = block.q.row(i / block.group) + i % block.group * block.head_dim;
    float* to = s.queries_packed + first * block.head_dim + (i - first);
    for (std::size_t d = 0; d < block.head_dim; ++d) to[d * rows] = from[d] * scale;
  }
}

KeyRange intersect(const KeyRange& a, const KeyRange& b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

// The smallest range that holds what rows [begin, end) of the block see of `part`.
KeyRange seen(const RunKeys& keys, std::size_t begin, std::size_t end, const KeyRange& part) {
  KeyRange all{std::numeric_limits<std::size_t>::max(), 0};
  for (std::size_t r = begin; r < end; ++r) {
    const KeyRange one = intersect(keys.visible[r], part);
    if (one.empty()) continue;
    all = {std::min(all.begin, one.begin), std::max(all.end, one.end)};
  }
  return all;
}

// Where a head's keys stand from `row` on. In the integer formats, `row` begins a group, or it is
// the head's end.
const std::uint8_t* keys_at(const RunKeys& keys, std::size_t row) {
  const SegmentView& s = *keys.segment;
  return static_cast<const std::uint8_t*>(s.keys) + key_bytes(s.dtype, keys.at(row), s.head_dim);
}

const std::uint8_t* values_at(const RunKeys& keys, std::size_t row) {
  const SegmentView& s = *keys.segment;
  return static_cast<const std::uint8_t*>(s.values) + keys.at(row) * row_bytes(s.dtype, s.head_dim);
}

// A score may pass `top` by this many powers of two before everything is rescaled, so that almost
// no tile needs to know its greatest score.
inline constexpr float kSlack = 8;

// Makes `most` the new top of a query and rescales what it has.
void raise_top(const Scratch& s, std::size_t query, float most) {
  const TagF d;
  // Nothing was summed under a top of -infinity: exp2 gives zero, and zero times zero is zero.
  const float fade = std::exp2(s.top[query] - most);
  float* total = s.total + query * kLanes;
  hn::StoreU(hn::Mul(hn::LoadU(d, total), hn::Set(d, fade)), d, total);
  float* out = s.out + query * s.values_stride;
  for (std::size_t i = 0; i < s.values_stride; ++i) out[i] *= fade;
  s.top[query] = most;
}

// Asks for a tile's bytes, into the second cache, while another tile is computed.
void prefetch_tile(const std::uint8_t* from, const std::uint8_t* end) {
  constexpr std::size_t kLine = 64;
  for (; from < end; from += kLine) __builtin_prefetch(from, 0, 2);
}

void prefetch_keys(const RunKeys& keys, std::size_t tile) {
  if (tile >= keys.rows()) return;
  prefetch_tile(keys_at(keys, tile), keys_at(keys, std::min(tile + kTileKeys, keys.rows())));
}

void prefetch_values(const RunKeys& keys, std::size_t tile) {
  if (tile >= keys.rows()) return;
  prefetch_tile(values_at(keys, tile), values_at(keys, std::min(tile + kTileKeys, keys.rows())));
}

// Scores of `part` that are not `visible` become -infinity. Mostly there are none.
void hide_outside(float* scores, const KeyRange& part, const KeyRange& visible) {
  if (visible.begin > part.begin) {
    std::fill(scores + part.begin, scores + visible.begin, kNone);
  }
  if (visible.end < part.end) std::fill(scores + visible.end, scores + part.end, kNone);
}

// Takes one query's scores of a tile into its running softmax: the scores in [visible) become
// weights, those in the rest of [computed) zero.
void weigh(const Scratch& s, std::size_t query, const KeyRange& computed, const KeyRange& visible) {
  const TagF d;
  float* w = s.weights + query * kTileKeys;
  const std::size_t begin = computed.begin / kLanes * kLanes;
  const std::size_t end = round_up(computed.end, kLanes);
  if (visible.empty()) return std::fill(w + begin, w + end, 0.0F);
  hide_outside(w, {begin, end}, visible);
  VecF most = hn::Set(d, kNone);
  for (std::size_t k = begin; k < end; k += kLanes) most = hn::Max(most, hn::LoadU(d, w + k));
  const VecF limit = hn::Set(d, s.top[query] + kSlack);
  if (s.top[query] == kNone || !hn::AllTrue(d, hn::Le(most, limit))) {
    const float greatest = hn::GetLane(hn::MaxOfLanes(d, most));
    if (greatest == kNone) return std::fill(w + begin, w + end, 0.0F);
    raise_top(s, query, greatest);
  }
  const VecF top = hn::Set(d, s.top[query]);
  VecF sum = hn::LoadU(d, s.total + query * kLanes);
  for (std::size_t k = begin; k < end; k += kLanes) {
    const VecF weight = exp2_approx(hn::Sub(hn::LoadU(d, w + k), top));
    hn::StoreU(weight, d, w + k);
    sum = hn::Add(sum, weight);
  }
  hn::StoreU(sum, d, s.total + query * kLanes);
}

// Queries [first, first + count) over keys [range) of a decoded tile.
struct TilePart {
  std::size_t first;
  std::size_t count;
  KeyRange range;  // inside the tile
};

void score(const QueryBlock& block, const TilePart& part, const Scratch& s) {
  const std::size_t begin = part.range.begin / kMicroCols * kMicroCols;
  multiply<0>(part.count, round_up(part.range.end, kMicroCols) - begin,
              {.k = block.head_dim,
               .a = s.queries_packed + part.first * block.head_dim,
               .b = s.keys + begin,
               .b_stride = kTileKeys,
               .c = s.weights + part.first * kTileKeys + begin,
               .c_stride = kTileKeys,
               .accumulate = false});
}

void add_values(const TilePart& part, const Scratch& s) {
  multiply<kTileKeys>(part.count, s.values_stride,
                      {.k = part.range.end - part.range.begin,
                       .a = s.weights + part.first * kTileKeys + part.range.begin,
                       .b = s.values + part.range.begin * s.values_stride,
                       .b_stride = s.values_stride,
                       .c = s.out + part.first * s.values_stride,
                       .c_stride = s.values_stride,
                       .accumulate = true});
}

KeyRange inside(const KeyRange& range, std::size_t tile) {
  return range.empty() ? KeyRange{} : KeyRange{range.begin - tile, range.end - tile};
}

// The micro-kernel's worth of queries from `first` on, and what they see of the tile `whole`.
TilePart part_of(const QueryBlock& block, const RunKeys& keys, std::size_t first,
                 const KeyRange& whole) {
  const std::size_t count = std::min(kMicroRows, block.queries() - first);
  const std::size_t row_end = (first + count - 1) / block.group + 1;
  return {first, count, inside(seen(keys, first / block.group, row_end, whole), whole.begin)};
}

// How attention reads rows of one format; `Rows` is PlainRows or GroupRows of a type.
struct RowFormat {
  void (*decode_keys)(const std::uint8_t* keys, std::size_t count, const KeyRange& range,
                      std::size_t dim, float* out);
  void (*decode_values)(const std::uint8_t* values, std::size_t rows, std::size_t dim, float* out,
                        std::size_t stride);
#if VARVE_ATTEND_DIRECT
  using FoldDirect = void (*)(const QueryBlock& block, const RunKeys& keys, std::size_t tile,
                              const KeyRange& range, const Scratch& s);
  using ScoreDirect = void (*)(const std::uint8_t* keys, std::size_t dim, const float* queries,
                               const KeyRange& range, float* weights);
  std::array<FoldDirect, kDirectQueries> fold_direct;    // entry R - 1: R queries
  std::array<ScoreDirect, kDirectQueries> score_direct;  // likewise
#endif
};

#if VARVE_ATTEND_DIRECT

template <class Rows, std::size_t R>
void fold_direct(const QueryBlock& block, const RunKeys& keys, std::size_t tile,
                 const KeyRange& range, const Scratch& s) {
  const std::size_t dim = block.head_dim;
  Rows::template score<R>(keys_at(keys, tile), dim, s.queries_packed, range, s.weights);
  for (std::size_t i = 0; i < R; ++i) {
    const KeyRange whole{tile, tile + kTileKeys};
    weigh(s, i, range, inside(intersect(keys.visible[i / block.group], whole), tile));
  }
  Rows::template add_values<R>(values_at(keys, tile), dim, s.weights, range, s.out,
                               s.values_stride);
}

template <class Rows, std::size_t... kIndex>
constexpr RowFormat make_row_format(std::index_sequence<kIndex...>) {
  return {&Rows::decode_keys,
          &Rows::decode_values,
          {&fold_direct<Rows, kIndex + 1>...},
          {&Rows::template score<kIndex + 1>...}};
}

template <class Rows>
inline constexpr RowFormat kRowFormat =
    make_row_format<Rows>(std::make_index_sequence<kDirectQueries>());

// A tile of a decode step: all of its rows exist, and few queries look at it.
bool is_direct(const QueryBlock& block, const RunKeys& keys, std::size_t tile) {
  return block.queries() <= kDirectQueries && block.head_dim % kDirectDim == 0 &&
         tile + kTileKeys <= keys.rows();
}

#else

template <class Rows>
inline constexpr RowFormat kRowFormat = {&Rows::decode_keys, &Rows::decode_values};

#endif  // VARVE_ATTEND_DIRECT

const RowFormat& format_of(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return kRowFormat<PlainRows<DType::kF16>>;
    case DType::kBF16:
      return kRowFormat<PlainRows<DType::kBF16>>;
    case DType::kInt8:
      return kRowFormat<GroupRows<DType::kInt8>>;
    case DType::kInt4:
      return kRowFormat<GroupRows<DType::kInt4>>;
    case DType::kInt2:
      return kRowFormat<GroupRows<DType::kInt2>>;
    default:
      return kRowFormat<PlainRows<DType::kF32>>;
  }
}

void decode_keys(const RowFormat& format, const RunKeys& keys, std::size_t tile,
                 const KeyRange& range, const Scratch& s) {
  format.decode_keys(keys_at(keys, tile), keys.rows() - tile, range, keys.segment->head_dim,
                     s.keys);
}

void fold_tile(const QueryBlock& block, const RunKeys& keys, std::size_t tile, const Scratch& s) {
  const KeyRange whole{tile, std::min(tile + kTileKeys, keys.run.end)};
  const KeyRange range = seen(keys, 0, block.q.rows, whole);
  if (range.empty()) return;
  const RowFormat& format = format_of(keys.segment->dtype);
#if VARVE_ATTEND_DIRECT
  if (is_direct(block, keys, tile)) {
    return format.fold_direct[block.queries() - 1](block, keys, tile, inside(range, tile), s);
  }
#endif
  decode_keys(format, keys, tile, inside(range, tile), s);
  format.decode_values(values_at(keys, range.begin), range.end - range.begin, block.head_dim,
                       s.values + (range.begin - tile) * s.values_stride, s.values_stride);
  // All scores first: the keys stay in the first cache, then the values.
  prefetch_keys(keys, tile + kTileKeys);
  for (std::size_t first = 0; first < block.queries(); first += kMicroRows) {
    const TilePart part = part_of(block, keys, first, whole);
    if (part.range.empty()) continue;
    score(block, part, s);
    for (std::size_t i = first; i < first + part.count; ++i) {
      weigh(s, i, part.range, inside(intersect(keys.visible[i / block.group], whole), tile));
    }
  }
  prefetch_values(keys, tile + kTileKeys);
  for (std::size_t first = 0; first < block.queries(); first += kMicroRows) {
    const TilePart part = part_of(block, keys, first, whole);
    if (!part.range.empty()) add_values(part, s);
  }
}

void finish(std::size_t queries, const Scratch& s) {
  for (std::size_t i = 0; i < queries; ++i) {
    float* out = s.out + i * s.values_stride;
    const float total =
        hn::GetLane(hn::SumOfLanes(TagF(), hn::LoadU(TagF(), s.total + i * kLanes)));
    s.lse[i] = kNone;
    if (total <= 0) continue;
    // Adding zero makes -0.0 (a sum that underflowed) the same as 0.0.
    for (std::size_t d = 0; d < s.values_stride; ++d) out[d] = out[d] / total + 0.0F;
    s.lse[i] = static_cast<float>((s.top[i] + std::log2(double{total})) * std::numbers::ln2);
  }
}

RunPartial fold_run(const QueryBlock& block, const RunKeys& keys, float* base) {
  const Scratch s(block.queries(), block.head_dim, base);
  std::fill_n(s.out, block.queries() * s.values_stride, 0.0F);
  std::fill_n(s.top, block.queries(), kNone);
  std::fill_n(s.total, block.queries() * kLanes, 0.0F);
  const KeyRange range = seen(keys, 0, block.q.rows, keys.run);
  if (!range.empty()) {
    for (std::size_t tile = range.begin / kTileKeys * kTileKeys; tile < range.end;
         tile += kTileKeys) {
      fold_tile(block, keys, tile, s);
    }
  }
  finish(block.queries(), s);
  return {s.out, s.values_stride, s.lse};
}

// One query's scores of a tile, made weights of its whole row by `top` (its lse in powers of two),
// folded into the tile's mass. The vectors touched depend on the query alone, and a key that it
// does not see gets a zero.
template <MassFold kFold>
void fold_weights(float* scores, float top, const KeyRange& visible, float* mass) {
  const TagF d;
  const std::size_t begin = visible.begin / kLanes * kLanes;
  const std::size_t end = round_up(visible.end, kLanes);
  hide_outside(scores, {begin, end}, visible);
  const VecF most = hn::Set(d, top);
  for (std::size_t k = begin; k < end; k += kLanes) {
    // A score passes lse by its rounding at the most, which exp2_approx can bear.
    const VecF weight = exp2_approx(hn::Sub(hn::LoadU(d, scores + k), most));
    const VecF before = hn::LoadU(d, mass + k);
    const VecF after = kFold == MassFold::kSum ? hn::Add(before, weight) : hn::Max(before, weight);
    hn::StoreU(after, d, mass + k);
  }
}

// The scores of all queries on keys [range) of the tile `whole`.
void score_tile(const QueryBlock& block, const RunKeys& keys, const KeyRange& whole,
                const KeyRange& range, const Scratch& s) {
  const std::size_t tile = whole.begin;
  const RowFormat& format = format_of(keys.segment->dtype);
#if VARVE_ATTEND_DIRECT
  if (is_direct(block, keys, tile)) {
    const auto score_keys = format.score_direct[block.queries() - 1];
    return score_keys(keys_at(keys, tile), block.head_dim, s.queries_packed, inside(range, tile),
                      s.weights);
  }
#endif
  decode_keys(format, keys, tile, inside(range, tile), s);
  prefetch_keys(keys, tile + kTileKeys);
  for (std::size_t first = 0; first < block.queries(); first += kMicroRows) {
    const TilePart part = part_of(block, keys, first, whole);
    if (!part.range.empty()) score(block, part, s);
  }
}

void add_tile_mass(const QueryBlock& block, const RunKeys& keys, std::size_t tile, MassFold fold,
                   const Matrix& mass, const Scratch& s) {
  const auto fold_in =
      fold == MassFold::kSum ? fold_weights<MassFold::kSum> : fold_weights<MassFold::kMax>;
  const KeyRange whole{tile, std::min(tile + kTileKeys, keys.run.end)};
  const KeyRange range = seen(keys, 0, block.q.rows, whole);
  if (range.empty()) return;
  score_tile(block, keys, whole, range, s);
  for (std::size_t m = 0; m < mass.rows; ++m) {
    float* to = mass.row(m) + whole.begin;
    // A copy, because the last vector may reach beyond the run's rows.
    alignas(64) float sums[kTileKeys] = {};
    std::copy_n(to, whole.end - whole.begin, sums);
    // All queries, or of every row the head that has this mass.
    for (std::size_t i = m; i < block.queries(); i += mass.rows) {
      const KeyRange visible = intersect(keys.visible[i / block.group], whole);
      if (visible.empty() || s.top[i] == kNone) continue;
      fold_in(s.weights + i * kTileKeys, s.top[i], inside(visible, tile), sums);
    }
    std::copy_n(sums, whole.end - whole.begin, to);
  }
}

void add_mass(const QueryBlock& block, const RunKeys& keys, const ConstMatrix& lse, MassFold fold,
              const Matrix& mass, float* base) {
  const Scratch s(block.queries(), block.head_dim, base);
  const KeyRange range = seen(keys, 0, block.q.rows, keys.run);
  if (range.empty()) return;
  for (std::size_t i = 0; i < block.queries(); ++i) {
    const double natural = lse.row(i / block.group)[i % block.group];
    s.top[i] = static_cast<float>(natural * std::numbers::log2e);
  }
  for (std::size_t tile = range.begin / kTileKeys * kTileKeys; tile < range.end;
       tile += kTileKeys) {
    add_tile_mass(block, keys, tile, fold, mass, s);
  }
}

}  // namespace

AttendKernels make_attend_kernels() {
  return {.scratch_floats = &scratch_floats,
          .load_queries = &load_queries,
          .fold_run = &fold_run,
          .add_mass = &add_mass};
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve {

HWY_EXPORT(make_attend_kernels);

AttendKernels attend_kernels(std::int64_t target) {
  return VARVE_DISPATCH(make_attend_kernels, target)();
}

}  // namespace varve
#endif
