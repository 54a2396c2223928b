#include "worker/cache/segment.h"

#include "common/error.h"

namespace varve {

Segment::Segment(const SegmentShape& shape, std::size_t head_dim, Ops& ops, Ledger& ledger)
    : ops_(ops),
      ledger_(ledger),
      shape_(shape),
      buffer_(ops.allocate(segment_bytes(shape, head_dim))),
      heads_(shape.kv_heads()) {
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    heads_[h].begin = static_cast<std::uint32_t>(shape.begin(h));
  }
  const std::size_t rows = shape.begin(shape.kv_heads());
  auto* base = buffer_.as<std::byte>();
  std::byte* values = base + key_bytes(shape.dtype, rows, head_dim);
  std::byte* positions = values + value_bytes(shape.dtype, rows, head_dim);
  store_ = {.dtype = shape.dtype,
            .keys = base,
            .values = values,
            .positions = reinterpret_cast<std::int32_t*>(positions),
            .shared_positions = shape.shared_positions,
            .heads = heads_,
            .head_dim = head_dim};
  ledger_.add(buffer_.bytes());
}

Segment::~Segment() {
  ledger_.remove(buffer_.bytes());
}

std::size_t Segment::rows() const {
  std::size_t rows = 0;
  for (const HeadRows& head : heads_) rows += head.rows;
  return rows;
}

void Segment::grow(std::size_t head, std::size_t count) {
  VARVE_CHECK(!sealed_, "{} rows for a sealed segment of {}", count, heads_[head].rows);
  VARVE_CHECK(heads_[head].rows + count <= shape_.capacity[head],
              "{} rows behind {} of head {}, room for {}", count, heads_[head].rows, head,
              shape_.capacity[head]);
  heads_[head].rows += static_cast<std::uint32_t>(count);
}

void Segment::append(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions) {
  const std::size_t at = heads_.front().rows;
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    VARVE_CHECK(heads_[h].rows == at, "head {} holds {} rows, head 0 {}", h, heads_[h].rows, at);
    grow(h, k.rows);
  }
  ops_.append_rows(k, v, positions, store_, at);
}

void Segment::gather(const SegmentView& from, std::size_t head,
                     std::span<const std::uint32_t> rows) {
  const std::size_t at = heads_[head].rows;
  grow(head, rows.size());
  ops_.gather_rows(from, head, rows, store_, at);
}

void Segment::keep(const KeptRows& kept) {
  VARVE_CHECK(!sealed_ && !shape_.shared_positions, "a segment that cannot lose rows of a head");
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const std::vector<std::uint32_t>& rows = kept.heads[h];
    VARVE_CHECK(rows.empty() || rows.back() < heads_[h].rows, "row {} of {}", rows.back(),
                heads_[h].rows);
    // Reading from the rows as they are, writing to those that will be there.
    ops_.gather_rows(store_.view(), h, rows, store_, 0);
    heads_[h].rows = static_cast<std::uint32_t>(rows.size());
  }
}

void Segment::clear() {
  VARVE_CHECK(!sealed_, "a sealed segment of {} rows", rows());
  for (HeadRows& head : heads_) head.rows = 0;
}

void Segment::encode(const SegmentView& floats) {
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    VARVE_CHECK(heads_[h].rows == 0, "head {} holds {} rows", h, heads_[h].rows);
    grow(h, floats.rows(h));
  }
  ops_.encode_rows(floats, store_);
}

SavedSegment Segment::save() const {
  SavedSegment saved{.rows = {}, .buffer = std::vector<std::byte>(buffer_.bytes())};
  for (const HeadRows& head : heads_) saved.rows.push_back(head.rows);
  ops_.download(saved.buffer.data(), buffer_.data(), saved.buffer.size());
  return saved;
}

void Segment::load(const SavedSegment& saved) {
  VARVE_CHECK(!sealed_ && rows() == 0, "{} rows are here already", rows());
  if (saved.buffer.size() != buffer_.bytes() || saved.rows.size() != heads_.size()) {
    throw PeerError(fmt::format("saved rows of {} heads in {} bytes; {} heads in {} bytes are due",
                                saved.rows.size(), saved.buffer.size(), heads_.size(),
                                buffer_.bytes()));
  }
  for (std::size_t h = 0; h < heads_.size(); ++h) grow(h, saved.rows[h]);
  ops_.upload(buffer_.data(), saved.buffer.data(), saved.buffer.size());
}

}  // namespace varve
