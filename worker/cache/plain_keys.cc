#include "worker/cache/plain_keys.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "common/cached_rows.h"
#include "common/error.h"

namespace varve {
namespace {

// Rotations add up, and a row of angles (cosines, then sines) is itself a vector that can be
// turned: the angles of the slots, turned back by the old positions. Not the angles of the
// difference, whose float32 product with a frequency would be rounded once more.
void turn_angles(Ops& ops, std::span<const std::uint32_t> from, std::size_t first,
                 std::span<const float> inv_freq, Matrix angles, Matrix back) {
  std::vector<std::int32_t> positions(from.size());
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(first));
  ops.rope_angles(positions, inv_freq, angles);
  std::transform(from.begin(), from.end(), positions.begin(),
                 [](std::uint32_t p) { return -static_cast<std::int32_t>(p); });
  ops.rope_angles(positions, inv_freq, back);
  ops.rope(angles, back, angles.cols, RopeLayout::kHalves);
}

// Whether rows are at slots first, first + 1, ... already.
bool stand_at(const std::vector<std::uint32_t>& rows, std::size_t first) {
  return rows.empty() || (rows.front() == first && rows.back() == first + rows.size() - 1);
}

}  // namespace

PlainKeys::PlainKeys(const ModelConfig& model, std::span<const float> inv_freq, std::size_t rows,
                     std::size_t slots, DType dtype, Ops& ops, Ledger& ledger)
    : model_(model), inv_freq_(inv_freq), slots_(slots), ops_(ops), ledger_(ledger) {
  back_ = carve(rows, model.rope_dims);
  table_ = carve(slots, model.rope_dims);
  std::vector<std::int32_t> positions(slots);
  std::iota(positions.begin(), positions.end(), 0);
  ops_.rope_angles(positions, inv_freq_, table_);
  negated_.reserve(rows);
  buffers_.push_back(ops.allocate(key_bytes(dtype, model.kv_heads * slots, model.head_dim)));
  bytes_ += buffers_.back().bytes();
  keys_ = {.dtype = dtype,
           .keys = buffers_.back().data(),
           .values = nullptr,
           .positions = nullptr,
           .shared_positions = true,
           .heads = {},
           .head_dim = model.head_dim};
  ledger_.add(bytes_);
}

PlainKeys::~PlainKeys() {
  ledger_.remove(bytes_);
}

Matrix PlainKeys::carve(std::size_t rows, std::size_t cols) {
  buffers_.push_back(ops_.allocate(rows * cols * sizeof(float)));
  bytes_ += buffers_.back().bytes();
  return {buffers_.back().as<float>(), rows, cols, cols};
}

ConstMatrix PlainKeys::slot_angles(std::size_t first, std::size_t rows) const {
  VARVE_CHECK(first + rows <= slots_, "slots [{}, {}) of {}", first, first + rows, slots_);
  return table_.slice(first, rows);
}

// The angle of -p is that of p with its sign changed, bit for bit, so what comes back differs from
// the key by the rounding of two float32 rotations.
void PlainKeys::begin(std::span<const std::int32_t> rotations) {
  negated_.resize(rotations.size());
  std::transform(rotations.begin(), rotations.end(), negated_.begin(), std::negate<>());
  ops_.rope_angles(negated_, inv_freq_, back_.slice(0, rotations.size()));
}

void PlainKeys::turn_back(Matrix k, std::size_t at) {
  ops_.rope(k, back_.slice(at, k.rows), model_.head_dim, model_.rope_layout);
}

// Keys, values and positions of a view are addressed alike, so turned keys lie as plain ones do.
SegmentView PlainKeys::turn(const SegmentView& plain, std::size_t first) {
  const HeadRows& last = plain.heads.back();
  VARVE_CHECK(last.begin + last.rows <= plain.kv_heads() * slots_, "rows up to {}, room for {}",
              last.begin + last.rows, plain.kv_heads() * slots_);
  keys_.heads = plain.heads;
  ops_.rope_keys(plain, slot_angles(first, plain.most_rows()), model_.rope_layout, keys_);
  SegmentView turned = plain;
  turned.keys = keys_.keys;
  return turned;
}

void PlainKeys::settle(Segment& plain, std::size_t first) {
  const SegmentView view = plain.view();
  ops_.rope_keys(view, slot_angles(first, view.most_rows()), model_.rope_layout, plain.store());
}

void PlainKeys::unsettle(Segment& rotated) {
  const SegmentView view = rotated.view();
  std::vector<std::int32_t> positions(view.most_rows());
  for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = -static_cast<std::int32_t>(i);
  const std::size_t width = model_.rope_dims;
  const Buffer work = ops_.allocate(positions.size() * width * sizeof(float));
  const Matrix back{work.as<float>(), positions.size(), width, width};
  ops_.rope_angles(positions, inv_freq_, back);
  ops_.rope_keys(view, back, model_.rope_layout, rotated.store());
}

void PlainKeys::move(Segment& rotated, const KeptRows& from, std::size_t first) {
  const std::size_t rows = rotated.view().most_rows();
  const std::size_t width = model_.rope_dims;
  const Buffer work = ops_.allocate(2 * rows * width * sizeof(float));
  for (std::size_t head = 0; head < from.heads.size(); ++head) {
    const std::vector<std::uint32_t>& old = from.heads[head];
    if (stand_at(old, first)) continue;
    const Matrix angles{work.as<float>(), old.size(), width, width};
    const Matrix back{angles.row(rows), old.size(), width, width};
    turn_angles(ops_, old, first, inv_freq_, angles, back);
    SegmentStore store = rotated.store();
    store.heads = store.heads.subspan(head, 1);
    ops_.rope_keys(rotated.view().only(head), angles, model_.rope_layout, store);
  }
}

}  // namespace varve
