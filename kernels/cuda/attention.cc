#include "kernels/cuda/attention.h"

#include <algorithm>
#include <limits>

#include "common/error.h"
#include "kernels/cuda/views.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kRowTileQueries = 64;  // of a block that takes rows through all runs
// Rows of a task cut by runs. One run's keys are read once for each 16 queries.
constexpr std::uint32_t kTaskRows = 16;
// Most floats of partials that wait in memory; beyond, the work is cut by rows.
constexpr std::size_t kMostSlotFloats = std::size_t{64} << 20U;

std::uint32_t runs_of(std::size_t rows) {
  return static_cast<std::uint32_t>((rows + kRunRows - 1) / kRunRows);
}

MmaLaunches mma_launches_of(std::int32_t head_dim, RowFormat format) {
  if (head_dim <= 64) return mma_launches_64(format);
  if (head_dim <= 96) return mma_launches_96(format);
  if (head_dim <= 128) return mma_launches_128(format);
  return mma_launches_256(format);
}

Attention attention_of(const ConstMatrix& q, const std::int32_t* q_positions,
                       const AttendParams& params, const SegmentView& segment) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
  const std::size_t window = std::min(params.window.value_or(kMost), kMost);
  return {.q = rows_of(q),
          .q_positions = q_positions,
          .q_heads = static_cast<std::int32_t>(params.q_heads),
          .kv_heads = static_cast<std::int32_t>(segment.kv_heads()),
          .head_dim = static_cast<std::int32_t>(segment.head_dim),
          .window = static_cast<std::int32_t>(window),
          .scale = params.scale,
          .format = format_of(segment.dtype)};
}

template <class T>
const T* offset(const void* data, std::size_t bytes) {
  return reinterpret_cast<const T*>(static_cast<const std::byte*>(data) + bytes);
}

}  // namespace

struct Attending::Call {
  Attention attention;  // its format is the first item's
  std::span<const AttendItem> items;
  const Head* heads;  // [items, Hkv] on the device
  Partials state;

  std::uint32_t group() const {
    return static_cast<std::uint32_t>(attention.q_heads / attention.kv_heads);
  }
  Attention with(RowFormat format) const {
    Attention a = attention;
    a.format = format;
    return a;
  }
};

RowFormat format_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return RowFormat::kF32;
    case DType::kF16:
      return RowFormat::kF16;
    case DType::kBF16:
      return RowFormat::kBF16;
    case DType::kInt8:
      return RowFormat::kInt8;
    case DType::kInt4:
      return RowFormat::kInt4;
    case DType::kInt2:
      return RowFormat::kInt2;
    default:
      break;
  }
  VARVE_CHECK(false, "{} is no format of cached rows", dtype_info(dtype).name);
}

void list_heads(const SegmentView& s, std::vector<Head>& heads) {
  for (std::size_t h = 0; h < s.kv_heads(); ++h) {
    const HeadRows& rows = s.heads[h];
    heads.push_back({.keys = offset<void>(s.keys, key_bytes(s.dtype, rows.begin, s.head_dim)),
                     .values = offset<void>(s.values, value_bytes(s.dtype, rows.begin, s.head_dim)),
                     .positions = s.positions + (s.shared_positions ? 0 : rows.begin),
                     .rows = rows.rows});
  }
}

Attending::Attending(Device& device, Staging& staging, bool exact)
    : device_(device), staging_(staging), exact_(exact) {}

void Attending::attend(ConstMatrix q, const std::int32_t* q_positions,
                       std::span<const AttendItem> items, const AttendParams& params,
                       const Partial& state) {
  if (q.rows == 0 || items.empty()) return;
  heads_.clear();
  for (const AttendItem& item : items) {
    VARVE_CHECK(item.segment.kv_heads() == items.front().segment.kv_heads(),
                "items of {} and {} key heads", items.front().segment.kv_heads(),
                item.segment.kv_heads());
    list_heads(item.segment, heads_);
  }
  const Call call{attention_of(q, q_positions, params, items.front().segment), items,
                  staging_.put(std::span<const Head>(heads_)), partials_of(state)};
  const std::size_t queries = q.rows * call.group();
  const std::size_t blocks = (queries + kRowTileQueries - 1) / kRowTileQueries *
                             static_cast<std::size_t>(call.attention.kv_heads);
  const bool keeps_busy = blocks >= static_cast<std::size_t>(device_.multiprocessors());
  if (keeps_busy || list_slots(call) * q.cols > kMostSlotFloats) return by_rows(call);
  by_runs(call);
}

bool Attending::takes_mma(const Attention& a) const {
  return !exact_ && a.format != RowFormat::kF32 && a.head_dim % 8 == 0;
}

void Attending::by_rows(const Call& call) {
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    const AttendItem& item = call.items[i];
    if (item.row_count == 0 || item.segment.most_rows() == 0) continue;
    const AttendRows rows{.attention = call.with(format_of(item.segment.dtype)),
                          .heads = call.heads + i * item.segment.kv_heads(),
                          .row_begin = static_cast<std::uint32_t>(item.row_begin),
                          .row_count = static_cast<std::uint32_t>(item.row_count),
                          .state = call.state};
    const Attention& a = rows.attention;
    const auto fold = takes_mma(a) ? mma_launches_of(a.head_dim, a.format).rows : attend_fma_rows;
    fold(rows, device_.stream());
  }
}

std::size_t Attending::list_slots(const Call& call) {
  items_.clear();
  std::size_t slots = 0;
  for (const AttendItem& item : call.items) {
    const std::uint32_t runs = runs_of(item.segment.most_rows());
    items_.push_back({.row_begin = static_cast<std::uint32_t>(item.row_begin),
                      .row_count = static_cast<std::uint32_t>(item.row_count),
                      .runs = runs,
                      .first = static_cast<std::uint32_t>(slots)});
    slots += std::size_t{runs} * item.row_count;
  }
  return slots;
}

void Attending::by_runs(const Call& call) {
  const ItemSlots& last = items_.back();
  const std::size_t slots = last.first + std::size_t{last.runs} * last.row_count;
  if (slots == 0) return;
  const Partials held = reserve_slots(call, slots);
  std::vector<RowFormat> formats;
  for (const AttendItem& item : call.items) {
    const RowFormat format = format_of(item.segment.dtype);
    if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
      formats.push_back(format);
      fold_runs(call, format, held);
    }
  }
  const Attention& a = call.attention;
  merge_runs(staging_.put(std::span<const ItemSlots>(items_)),
             static_cast<std::uint32_t>(items_.size()), held, call.state, a.q.rows,
             static_cast<std::uint32_t>(a.q_heads), static_cast<std::uint32_t>(a.head_dim),
             device_.stream());
}

Partials Attending::reserve_slots(const Call& call, std::size_t slots) {
  const std::size_t q_heads = static_cast<std::size_t>(call.attention.q_heads);
  const std::size_t width = call.attention.q.cols;
  const std::size_t out = slots * width * sizeof(float);
  if (slots_out_.bytes() < out) slots_out_ = device_.allocate(out);
  const std::size_t lse = slots * q_heads * sizeof(float);
  if (slots_lse_.bytes() < lse) slots_lse_ = device_.allocate(lse);
  return {slots_out_.as<float>(), slots_lse_.as<float>(), width, q_heads};
}

// All tasks of the items in one format, in one launch.
void Attending::fold_runs(const Call& call, RowFormat format, const Partials& slots) {
  tasks_.clear();
  std::uint32_t most_rows = 0;
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    if (format_of(call.items[i].segment.dtype) != format) continue;
    const ItemSlots& item = items_[i];
    for (std::uint32_t run = 0; run < item.runs; ++run) {
      for (std::uint32_t at = 0; at < item.row_count; at += kTaskRows) {
        const std::uint32_t rows = std::min(kTaskRows, item.row_count - at);
        tasks_.push_back({.item = static_cast<std::uint32_t>(i),
                          .row_begin = item.row_begin + at,
                          .row_count = rows,
                          .run = run,
                          .slot = item.first + run * item.row_count + at});
        most_rows = std::max(most_rows, rows);
      }
    }
  }
  if (tasks_.empty()) return;
  const AttendRuns runs{.attention = call.with(format),
                        .heads = call.heads,
                        .tasks = staging_.put(std::span<const RunTask>(tasks_)),
                        .task_count = static_cast<std::uint32_t>(tasks_.size()),
                        .most_rows = most_rows,
                        .slots = slots};
  const Attention& a = runs.attention;
  const auto fold = takes_mma(a) ? mma_launches_of(a.head_dim, a.format).runs : attend_fma_runs;
  fold(runs, device_.stream());
}

void Attending::add_mass(ConstMatrix q, const std::int32_t* q_positions, const AttendItem& item,
                         const AttendParams& params, const ConstMatrix& lse, const Matrix& mass) {
  if (item.row_count == 0 || item.segment.most_rows() == 0) return;
  heads_.clear();
  list_heads(item.segment, heads_);
  cuda::add_mass(attention_of(q, q_positions, params, item.segment),
                 staging_.put(std::span<const Head>(heads_)),
                 static_cast<std::uint32_t>(item.segment.most_rows()),
                 static_cast<std::uint32_t>(item.row_begin),
                 static_cast<std::uint32_t>(item.row_count), rows_of(lse), rows_of(mass),
                 {mass.rows != item.segment.kv_heads(), params.mass == MassFold::kMax},
                 device_.stream());
}

}  // namespace varve::cuda
