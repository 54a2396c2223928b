#include "worker/cache/compactor.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "common/error.h"

namespace varve {
namespace {

// The attention of the current step alone, in every layer and head as many rows.
PolicyConfig pool_policy() {
  PolicyConfig pool;
  pool.scorer = make_component("window", {{"window", 1}, {"kernel", 1}});
  return pool;
}

std::size_t rows_of(std::span<const SegmentView> region, std::size_t head) {
  std::size_t rows = 0;
  for (const SegmentView& segment : region) rows += segment.heads[head].rows;
  return rows;
}

std::size_t most_rows_of(std::span<const SegmentView> region, std::size_t heads) {
  std::size_t most = 0;
  for (std::size_t head = 0; head < heads; ++head) most = std::max(most, rows_of(region, head));
  return most;
}

// The first rows of each head, all but `tail`, and the rest.
std::pair<KeptRows, KeptRows> split_tail(const KeptRows& kept, std::size_t tail) {
  KeptRows body;
  KeptRows rest;
  for (const std::vector<std::uint32_t>& rows : kept.heads) {
    const auto cut = rows.end() - static_cast<std::ptrdiff_t>(std::min(tail, rows.size()));
    body.heads.emplace_back(rows.begin(), cut);
    rest.heads.emplace_back(cut, rows.end());
  }
  return {std::move(body), std::move(rest)};
}

bool is_empty(const KeptRows& kept) {
  return std::all_of(kept.heads.begin(), kept.heads.end(),
                     [](const auto& rows) { return rows.empty(); });
}

}  // namespace

CachePolicy::CachePolicy(PolicyConfig policy)
    : config(std::move(policy)),
      scorer(drops_document_rows(config) ? make_scorer(config) : nullptr),
      pool(pool_policy()),
      pool_scorer(make_scorer(pool)) {}

Compactor::Compactor(const ModelConfig& model, Ops& ops, Ledger& ledger)
    : model_(model), ops_(ops), ledger_(ledger) {}

KeptRows Compactor::choose(const Scorer& scorer, const Component& allocation, const LayerRows& rows,
                           const Keep& keep) {
  const std::size_t most = most_rows_of(rows.segments, model_.kv_heads);
  if (most <= keep.budget) return all_rows(rows.segments);
  scores_.assign(model_.kv_heads * most, 0.0F);
  const Matrix scores{scores_.data(), model_.kv_heads, most, most};
  scorer.score(rows, scores);
  return select_rows(allocation, scores, keep);
}

void Compactor::gather(std::span<const SegmentView> from, const KeptRows& kept, Segment& into) {
  for (std::size_t head = 0; head < model_.kv_heads; ++head) {
    const std::vector<std::uint32_t>& rows = kept.heads[head];
    auto next = rows.begin();
    std::uint32_t first = 0;  // row of the region that the segment at hand starts with
    for (const SegmentView& segment : from) {
      const std::uint32_t end = first + segment.heads[head].rows;
      in_one_.clear();
      for (; next != rows.end() && *next < end; ++next) in_one_.push_back(*next - first);
      into.gather(segment, head, in_one_);
      first = end;
    }
    VARVE_CHECK(next == rows.end(), "row {} of a region of {}", *next, first);
  }
}

std::shared_ptr<Segment> Compactor::make_segment(const KeptRows& kept, DType dtype) {
  SegmentShape shape{.capacity = {}, .dtype = dtype, .shared_positions = false};
  for (const auto& rows : kept.heads) {
    shape.capacity.push_back(static_cast<std::uint32_t>(rows.size()));
  }
  return std::make_shared<Segment>(shape, model_.head_dim, ops_, ledger_);
}

std::shared_ptr<Segment> Compactor::copy_floats(std::span<const SegmentView> from,
                                                const KeptRows& part, std::size_t before,
                                                const Turn& turn) {
  std::shared_ptr<Segment> segment = make_segment(part, from.front().dtype);
  gather(from, part, *segment);
  if (turn) turn(*segment, part, before);
  return segment;
}

std::vector<std::shared_ptr<const Segment>> Compactor::copy(std::span<const SegmentView> from,
                                                            const KeptRows& kept,
                                                            const PolicyConfig& policy,
                                                            const Turn& turn) {
  std::vector<std::shared_ptr<const Segment>> segments;
  KeptRows floats = kept;
  std::size_t before = 0;
  if (const std::optional<DType> few_bits = storage_dtype(policy)) {
    KeptRows body;
    std::tie(body, floats) = split_tail(kept, storage_tail(policy));
    before = body.heads.front().size();
    if (!is_empty(body)) {
      const std::shared_ptr<Segment> encoded = make_segment(body, *few_bits);
      encoded->encode(copy_floats(from, body, 0, turn)->view());
      encoded->seal();
      segments.push_back(encoded);
    }
  }
  if (is_empty(floats)) return segments;
  const std::shared_ptr<Segment> rest = copy_floats(from, floats, before, turn);
  rest->seal();
  segments.push_back(rest);
  return segments;
}

KeptRows all_rows(std::span<const SegmentView> region) {
  KeptRows kept;
  for (std::size_t head = 0; head < region.front().heads.size(); ++head) {
    kept.heads.emplace_back(rows_of(region, head));
    std::iota(kept.heads.back().begin(), kept.heads.back().end(), 0U);
  }
  return kept;
}

}  // namespace varve
