#include "worker/cache/segment.h"

#include "common/error.h"
#include "common/plan/footprint.h"

namespace varve {

Segment::Segment(const ModelConfig& model, std::size_t capacity, DType dtype, Ops& ops,
                 Ledger& ledger)
    : ops_(ops), ledger_(ledger), buffer_(ops.allocate(segment_bytes(model, capacity, dtype))) {
  const std::size_t side = model.kv_heads * capacity * row_bytes(dtype, model.head_dim);
  auto* base = buffer_.as<std::byte>();
  store_ = {.dtype = dtype,
            .keys = base,
            .values = base + side,
            .positions = reinterpret_cast<std::int32_t*>(base + 2 * side),
            .capacity = capacity,
            .kv_heads = model.kv_heads,
            .head_dim = model.head_dim};
  ledger_.add(buffer_.bytes());
}

Segment::~Segment() {
  ledger_.remove(buffer_.bytes());
}

void Segment::append(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions) {
  VARVE_CHECK(!sealed_, "{} rows for a sealed segment of {}", k.rows, rows_);
  VARVE_CHECK(rows_ + k.rows <= store_.capacity, "{} rows behind {} in a segment for {}", k.rows,
              rows_, store_.capacity);
  ops_.append_rows(k, v, positions, store_, rows_);
  rows_ += k.rows;
}

SegmentView Segment::view() const {
  return {.dtype = store_.dtype,
          .keys = store_.keys,
          .values = store_.values,
          .positions = store_.positions,
          .rows = rows_,
          .capacity = store_.capacity,
          .kv_heads = store_.kv_heads,
          .head_dim = store_.head_dim};
}

}  // namespace varve
