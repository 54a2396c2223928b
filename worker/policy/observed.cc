#include "worker/policy/observed.h"

#include <algorithm>

#include "common/error.h"

namespace varve {
namespace {

// Host copies of rows, as wide as they are.
void fetch(Ops& ops, ConstMatrix m, std::vector<float>& host) {
  host.resize(m.rows * m.cols);
  for (std::size_t r = 0; r < m.rows; ++r) {
    ops.download(host.data() + r * m.cols, m.row(r), m.cols * sizeof(float));
  }
}

ConstMatrix some_rows(ConstMatrix m, std::size_t begin, std::size_t count) {
  return {m.row(begin), count, m.cols, m.stride};
}

ConstMatrix one_row(ConstMatrix m, std::size_t r) {
  return some_rows(m, r, 1);
}

// One head of one query as it was before its rotation.
void turn_back(const float* x, const float* angles, std::size_t dims, std::size_t head_dim,
               RopeLayout layout, double* out) {
  std::copy_n(x, head_dim, out);
  for (std::size_t i = 0; i < dims / 2; ++i) {
    const bool halves = layout == RopeLayout::kHalves;
    const std::size_t a = halves ? i : 2 * i;
    const std::size_t b = halves ? i + dims / 2 : 2 * i + 1;
    const double c = angles[i];
    const double s = angles[dims / 2 + i];
    out[a] = x[a] * c - x[b] * s;
    out[b] = x[a] * s + x[b] * c;
  }
}

}  // namespace

Observed::Observed(const ModelConfig& model, const ObservedNeeds& needs, std::size_t rows,
                   std::size_t skip, Ops& ops)
    : model_(model), needs_(needs), rows_(rows), skip_(skip), ops_(ops) {
  const std::size_t w = needs.last_queries;
  const std::size_t mass_rows = needs.mass ? rows : 0;
  const std::size_t floats = w * (model.q_width() + model.q_heads) + model.kv_heads * mass_rows;
  buffer_ = ops.allocate(floats * sizeof(float));
  auto* at = buffer_.as<float>();
  queries_ = {at, w, model.q_width(), model.q_width()};
  lse_ = {queries_.row(w), w, model.q_heads, model.q_heads};
  mass_ = {lse_.row(w), model.kv_heads, mass_rows, mass_rows};
  positions_.resize(w);
  const std::vector<float> zeros(model.kv_heads * mass_rows);
  ops.upload(mass_.data, zeros.data(), zeros.size() * sizeof(float));
  if (!needs.query_moments) return;
  sums_.resize(model.q_width());
  products_.resize(model.q_width() * model.head_dim);
}

Observed Observed::copy(std::size_t rows) const {
  Observed other(model_, needs_, rows, skip_, ops_);
  std::vector<float> host;
  fetch(ops_, queries_, host);
  ops_.upload(other.queries_.data, host.data(), host.size() * sizeof(float));
  fetch(ops_, lse_, host);
  ops_.upload(other.lse_.data, host.data(), host.size() * sizeof(float));
  fetch(ops_, mass_, host);
  for (std::size_t h = 0; h < mass_.rows; ++h) {
    ops_.upload(other.mass_.row(h), host.data() + h * mass_.cols,
                std::min(mass_.cols, other.mass_.cols) * sizeof(float));
  }
  other.positions_ = positions_;
  other.next_ = next_;
  other.held_ = held_;
  other.sums_ = sums_;
  other.products_ = products_;
  other.counted_ = counted_;
  other.newest_ = newest_;
  return other;
}

SavedObserved Observed::save() const {
  SavedObserved saved{.buffer = std::vector<std::byte>(buffer_.bytes()),
                      .positions = positions_,
                      .next = next_,
                      .held = held_,
                      .sums = sums_,
                      .products = products_,
                      .counted = counted_,
                      .newest = newest_};
  ops_.download(saved.buffer.data(), buffer_.data(), saved.buffer.size());
  return saved;
}

void Observed::load(const SavedObserved& saved) {
  const bool same = saved.buffer.size() == buffer_.bytes() &&
                    saved.positions.size() == positions_.size() &&
                    saved.sums.size() == sums_.size() && saved.products.size() == products_.size();
  if (!same) throw PeerError("what was saved of a layer's attention is of another shape");
  ops_.upload(buffer_.data(), saved.buffer.data(), saved.buffer.size());
  positions_ = saved.positions;
  next_ = saved.next;
  held_ = saved.held;
  sums_ = saved.sums;
  products_ = saved.products;
  counted_ = saved.counted;
  newest_ = saved.newest;
}

void Observed::observe(const ObservedRows& rows, std::span<const SegmentView> segments,
                       const AttendParams& params) {
  newest_ = rows.positions.back();
  if (needs_.last_queries > 0) keep_queries(rows);
  if (needs_.query_moments) add_moments(rows);
  if (!needs_.mass) return;
  std::size_t before = 0;
  for (const SegmentView& segment : segments) {
    const std::size_t count = segment.most_rows();
    VARVE_CHECK(before + count <= mass_.cols, "{} rows behind {}, room for mass of {}", count,
                before, mass_.cols);
    const Matrix part{mass_.data + before, mass_.rows, count, mass_.stride};
    ops_.add_mass(rows.q, rows.positions, {0, rows.q.rows, segment}, params, rows.lse, part);
    before += count;
  }
}

void Observed::keep_queries(const ObservedRows& rows) {
  const std::size_t ring = needs_.last_queries;
  const std::size_t skipped = rows.q.rows - std::min(rows.q.rows, ring);
  std::vector<float> host;
  for (std::size_t r = skipped; r < rows.q.rows; ++r) {
    fetch(ops_, one_row(rows.q, r), host);
    ops_.upload(queries_.row(next_), host.data(), host.size() * sizeof(float));
    fetch(ops_, one_row(rows.lse, r), host);
    ops_.upload(lse_.row(next_), host.data(), host.size() * sizeof(float));
    positions_[next_] = rows.positions[r];
    next_ = (next_ + 1) % ring;
    held_ = std::min(held_ + 1, ring);
  }
}

std::vector<Observed::Queries> Observed::last_queries(std::size_t count) const {
  const std::size_t ring = needs_.last_queries;
  count = std::min(count, held_);
  const std::size_t first = (next_ + ring - count) % std::max<std::size_t>(ring, 1);
  std::vector<Queries> pieces;
  const auto add = [&](std::size_t begin, std::size_t rows) {
    if (rows == 0) return;
    pieces.push_back({queries_.slice(begin, rows), lse_.slice(begin, rows),
                      std::span(positions_).subspan(begin, rows)});
  };
  const std::size_t to_end = std::min(count, ring - first);
  add(first, to_end);
  add(0, count - to_end);
  return pieces;
}

// Row after row into each head's sums, whatever the block that a row comes in. Head after head, as
// the moments of one fit into a core's own cache.
void Observed::add_moments(const ObservedRows& rows) {
  VARVE_CHECK(rows.back.rows == rows.q.rows, "{} rows of angles for {}", rows.back.rows,
              rows.q.rows);
  constexpr std::size_t kBlock = 64;
  const std::size_t d = model_.head_dim;
  std::vector<float> q;
  std::vector<float> back;
  std::vector<double> plain(d);
  for (std::size_t begin = 0; begin < rows.q.rows; begin += kBlock) {
    const std::size_t count = std::min(kBlock, rows.q.rows - begin);
    fetch(ops_, some_rows(rows.q, begin, count), q);
    fetch(ops_, some_rows(rows.back, begin, count), back);
    for (std::size_t h = 0; h < model_.q_heads; ++h) {
      for (std::size_t r = 0; r < count; ++r) {
        if (!counts(rows.positions[begin + r])) continue;
        turn_back(q.data() + r * rows.q.cols + h * d, back.data() + r * rows.back.cols,
                  rows.back.cols, d, model_.rope_layout, plain.data());
        add_to_moments(h, plain.data());
      }
    }
  }
  counted_ += static_cast<std::size_t>(std::count_if(rows.positions.begin(), rows.positions.end(),
                                                     [this](std::int32_t p) { return counts(p); }));
}

void Observed::add_to_moments(std::size_t head, const double* q) {
  const std::size_t d = model_.head_dim;
  double* sum = sums_.data() + head * d;
  double* product = products_.data() + head * d * d;
  for (std::size_t i = 0; i < d; ++i) {
    sum[i] += q[i];
    for (std::size_t j = i; j < d; ++j) product[i * d + j] += q[i] * q[j];
  }
}

std::span<const double> Observed::sums(std::size_t head) const {
  return std::span(sums_).subspan(head * model_.head_dim, model_.head_dim);
}

std::span<const double> Observed::products(std::size_t head) const {
  const std::size_t size = model_.head_dim * model_.head_dim;
  return std::span(products_).subspan(head * size, size);
}

void Observed::gather(const KeptRows& kept) {
  if (!needs_.mass) return;
  std::vector<float> row;
  for (std::size_t h = 0; h < mass_.rows; ++h) {
    fetch(ops_, one_row(mass_, h), row);
    auto next = row.begin();
    for (const std::uint32_t from : kept.heads[h]) *next++ = row[from];
    std::fill(next, row.end(), 0.0F);
    ops_.upload(mass_.row(h), row.data(), row.size() * sizeof(float));
  }
}

}  // namespace varve
