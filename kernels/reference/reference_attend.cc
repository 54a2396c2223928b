#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/checks.h"
#include "kernels/partial.h"
#include "kernels/reference/read_rows.h"
#include "kernels/reference/reference_ops.h"

namespace varve {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

struct Query {
  std::span<const float> q;  // [D]
  std::int32_t position;
  std::size_t kv_head;
};

bool is_visible(std::int32_t key, std::int32_t query, const std::optional<std::size_t>& window) {
  return key <= query && (!window || static_cast<std::size_t>(std::int64_t{query} - key) < *window);
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t d = 0; d < a.size(); ++d) sum += double{a[d]} * b[d];
  return sum;
}

class Run {
 public:
  Run(const SegmentView& segment, const AttendParams& params)
      : segment_(segment), params_(params), row_(segment.head_dim), sum_(segment.head_dim) {}

  /// The partial of rows [begin, end), into (out, lse).
  void attend(const Query& query, std::size_t begin, std::size_t end, HeadPartial to) {
    score(query, begin, end);
    const double top = *std::max_element(scores_.begin(), scores_.end());
    std::fill(sum_.begin(), sum_.end(), 0.0);
    double total = 0;
    for (std::size_t i = begin; i < end; ++i) {
      if (scores_[i - begin] == kNone) continue;
      const double weight = std::exp(scores_[i - begin] - top);
      total += weight;
      read_value(segment_, query.kv_head, i, row_);
      for (std::size_t d = 0; d < row_.size(); ++d) sum_[d] += weight * row_[d];
    }
    for (std::size_t d = 0; d < row_.size(); ++d) {
      to.out[d] = total > 0 ? static_cast<float>(sum_[d] / total) : 0.0F;
    }
    to.lse = static_cast<float>(total > 0 ? top + std::log(total) : kNone);
  }

 private:
  void score(const Query& query, std::size_t begin, std::size_t end) {
    const auto positions = segment_.positions_of(query.kv_head);
    scores_.assign(end - begin, kNone);
    for (std::size_t i = begin; i < end; ++i) {
      if (!is_visible(positions[i], query.position, params_.window)) continue;
      read_key(segment_, query.kv_head, i, row_);
      scores_[i - begin] = dot(query.q, row_) * params_.scale;
    }
  }

  const SegmentView& segment_;
  const AttendParams& params_;
  std::vector<float> row_;      // [D]
  std::vector<double> sum_;     // [D]
  std::vector<double> scores_;  // [rows of the run]
};

void attend_segment(const Query& query, const SegmentView& segment, const AttendParams& params,
                    HeadPartial state) {
  Run run(segment, params);
  std::vector<float> out(segment.head_dim);
  float lse = 0;
  const std::size_t rows = segment.rows(query.kv_head);
  for (std::size_t begin = 0; begin < rows; begin += kAttendRunRows) {
    const std::size_t end = std::min(begin + kAttendRunRows, rows);
    run.attend(query, begin, end, {out, lse});
    merge_head(out, lse, state);
  }
}

}  // namespace

void reference_attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
                      std::span<const AttendItem> items, const AttendParams& params,
                      Partial state) {
  check_attend(q, q_positions, items, params, state);
  const std::size_t dim = q.cols / params.q_heads;
  for (const AttendItem& item : items) {
    const std::size_t group = params.q_heads / item.segment.kv_heads();
    for (std::size_t t = item.row_begin; t < item.row_begin + item.row_count; ++t) {
      for (std::size_t head = 0; head < params.q_heads; ++head) {
        const Query query{{q.row(t) + head * dim, dim}, q_positions[t], head / group};
        attend_segment(query, item.segment, params,
                       {{state.out.row(t) + head * dim, dim}, state.lse.row(t)[head]});
      }
    }
  }
}

void reference_add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions,
                        const AttendItem& item, const AttendParams& params, ConstMatrix lse,
                        Matrix mass) {
  check_add_mass(q, q_positions, item, params, lse, mass);
  const SegmentView& segment = item.segment;
  const std::size_t group = params.q_heads / segment.kv_heads();
  std::vector<float> key(segment.head_dim);
  const auto add = [&](std::size_t kv_head, std::size_t row) {
    read_key(segment, kv_head, row, key);
    const std::int32_t position = segment.positions_of(kv_head)[row];
    for (std::size_t t = item.row_begin; t < item.row_begin + item.row_count; ++t) {
      if (!is_visible(position, q_positions[t], params.window)) continue;
      for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        if (lse.row(t)[head] == kNone) continue;
        const std::span<const float> query(q.row(t) + head * key.size(), key.size());
        const double score = dot(query, key) * params.scale;
        float& sum = mass.row(mass.rows == params.q_heads ? head : kv_head)[row];
        const double weight = std::exp(score - lse.row(t)[head]);
        sum = params.mass == MassFold::kSum ? static_cast<float>(sum + weight)
                                            : std::max(sum, static_cast<float>(weight));
      }
    }
  };
  for (std::size_t kv_head = 0; kv_head < segment.kv_heads(); ++kv_head) {
    for (std::size_t row = 0; row < segment.rows(kv_head); ++row) add(kv_head, row);
  }
}

}  // namespace varve
