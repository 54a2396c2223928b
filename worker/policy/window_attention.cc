#include "worker/policy/window_attention.h"

#include <vector>

#include "common/error.h"

namespace varve {
namespace {

// Adds up probabilities in memory of the backend, one segment after the other.
class MassSum {
 public:
  MassSum(Ops& ops, std::size_t heads, std::size_t rows)
      : ops_(ops), buffer_(ops.allocate(heads * rows * sizeof(float))) {
    mass_ = {buffer_.as<float>(), heads, rows, rows};
    const std::vector<float> zeros(rows);
    for (std::size_t h = 0; h < heads; ++h) {
      ops.upload(mass_.row(h), zeros.data(), rows * sizeof(float));
    }
  }

  void add(const Observed::Queries& queries, const SegmentView& segment, std::size_t before,
           const AttendParams& params) {
    const Matrix part{mass_.data + before, mass_.rows, segment.most_rows(), mass_.stride};
    ops_.add_mass(queries.q, queries.positions, {0, queries.q.rows, segment}, params, queries.lse,
                  part);
  }

  void divide_into(Matrix out, std::size_t count) const {
    for (std::size_t h = 0; h < out.rows; ++h) {
      ops_.download(out.row(h), mass_.row(h), out.cols * sizeof(float));
      for (std::size_t i = 0; i < out.cols; ++i) out.row(h)[i] /= static_cast<float>(count);
    }
  }

 private:
  Ops& ops_;
  Buffer buffer_;
  Matrix mass_;
};

std::vector<Observed::Queries> queries_of(const LayerRows& rows, std::size_t count) {
  VARVE_CHECK(rows.observed != nullptr, "no query was observed, {} are wanted", count);
  std::vector<Observed::Queries> pieces = rows.observed->last_queries(count);
  VARVE_CHECK(!pieces.empty(), "no query was observed yet, {} are wanted", count);
  return pieces;
}

// The columns of some query heads.
Observed::Queries columns(const Observed::Queries& all, std::size_t begin, std::size_t count,
                          std::size_t head_dim) {
  return {{all.q.data + begin * head_dim, all.q.rows, count * head_dim, all.q.stride},
          {all.lse.data + begin, all.lse.rows, count, all.lse.stride},
          all.positions};
}

}  // namespace

void window_attention(const LayerRows& rows, std::size_t count, Matrix attention) {
  const std::size_t heads = attention.rows;
  MassSum sum(rows.ops, heads, attention.cols);
  std::size_t seen = 0;
  for (const Observed::Queries& piece : queries_of(rows, count)) {
    seen += piece.q.rows;
    std::size_t before = 0;
    for (const SegmentView& segment : rows.segments) {
      sum.add(piece, segment, before, rows.params);
      before += segment.most_rows();
    }
  }
  sum.divide_into(attention, seen * (rows.params.q_heads / heads));
}

void window_attention_apart(const LayerRows& rows, std::size_t head, std::size_t count,
                            Matrix attention) {
  const std::size_t group = attention.rows;
  MassSum sum(rows.ops, group, attention.cols);
  AttendParams params = rows.params;
  params.q_heads = group;
  std::size_t seen = 0;
  for (const Observed::Queries& piece : queries_of(rows, count)) {
    const Observed::Queries own = columns(piece, head * group, group, rows.model.head_dim);
    seen += own.q.rows;
    std::size_t before = 0;
    for (const SegmentView& segment : rows.segments) {
      sum.add(own, segment.only(head), before, params);
      before += segment.rows(head);
    }
  }
  sum.divide_into(attention, seen);
}

}  // namespace varve
