#include "worker/cache/segment.h"

#include "common/error.h"
#include "common/plan/footprint.h"

namespace varve {

Segment::Segment(const ModelConfig& model, std::size_t capacity, DType dtype, Ops& ops,
                 Ledger& ledger)
    : ops_(ops),
      ledger_(ledger),
      buffer_(ops.allocate(segment_bytes(model, capacity, dtype))),
      heads_(model.kv_heads),
      capacity_(capacity) {
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    heads_[h].begin = static_cast<std::uint32_t>(h * capacity);
  }
  const std::size_t side = model.kv_heads * key_bytes(dtype, capacity, model.head_dim);
  auto* base = buffer_.as<std::byte>();
  store_ = {.dtype = dtype,
            .keys = base,
            .values = base + side,
            .positions = reinterpret_cast<std::int32_t*>(base + 2 * side),
            .heads = heads_,
            .head_dim = model.head_dim};
  ledger_.add(buffer_.bytes());
}

Segment::~Segment() {
  ledger_.remove(buffer_.bytes());
}

void Segment::append(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions) {
  VARVE_CHECK(!sealed_, "{} rows for a sealed segment of {}", k.rows, rows_);
  VARVE_CHECK(rows_ + k.rows <= capacity_, "{} rows behind {} in a segment for {}", k.rows, rows_,
              capacity_);
  const std::size_t at = rows_;
  rows_ += k.rows;
  for (HeadRows& head : heads_) head.rows = static_cast<std::uint32_t>(rows_);
  ops_.append_rows(k, v, positions, store_, at);
}

}  // namespace varve
