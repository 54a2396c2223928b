#include "worker/cache/audit.h"

#include <cmath>

#include "common/error.h"

namespace varve {

Audit::Audit(const ModelConfig& model, LayerRange layers, const AuditOrders& orders, Ops& ops)
    : model_(model), layers_(layers), orders_(orders), ops_(ops) {
  VARVE_CHECK(orders.span_rows > 0 && orders.cell_rows > 0, "spans of {} rows, cells of {}",
              orders.span_rows, orders.cell_rows);
}

std::span<const std::int32_t> Audit::fetch_positions(const SegmentView& segment, std::size_t head) {
  const std::span<const std::int32_t> held = segment.positions_of(head);
  positions_.resize(held.size());
  ops_.download(positions_.data(), held.data(), held.size_bytes());
  return positions_;
}

// To sums_. One row's mass is added up in double, head after head, so a sum depends neither on the
// stage cut nor on what else was asked.
void Audit::add_mass(const AuditPlace& place, const SegmentView& segment, const ObservedRows& row,
                     const AttendParams& params) {
  const std::size_t n = segment.most_rows();
  if (n == 0) return;
  mass_.assign(model_.kv_heads * n, 0.0F);
  const std::size_t bytes = mass_.size() * sizeof(float);
  if (work_.bytes() < bytes) work_ = ops_.allocate(bytes);
  ops_.upload(work_.data(), mass_.data(), bytes);
  ops_.add_mass(row.q, row.positions, {0, 1, segment}, params, row.lse,
                {work_.as<float>(), model_.kv_heads, n, n});
  ops_.download(mass_.data(), work_.data(), bytes);
  for (std::size_t head = 0; head < model_.kv_heads; ++head) {
    const std::span<const std::int32_t> positions = fetch_positions(segment, head);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      const auto position = static_cast<std::size_t>(positions[i]);
      if (position >= place.document_rows) break;
      sums_[position / orders_.span_rows] += double{mass_[head * n + i]};
    }
  }
}

void Audit::attended(const AuditPlace& place, const ObservedRows& row, const AttendParams& params) {
  VARVE_CHECK(row.q.rows == 1, "{} rows at a time", row.q.rows);
  Attended& sum = attended_[place.sequence];
  sum.sequence = place.sequence;
  sum.spans.resize(grid_size(place.document_rows, orders_.span_rows));
  if (place.layer == layers_.begin) ++sum.rows;
  sums_.assign(sum.spans.size(), 0.0);
  for (const SegmentView& segment : place.segments) add_mass(place, segment, row, params);
  for (std::size_t s = 0; s < sums_.size(); ++s) {
    sum.spans[s] += std::llround(sums_[s] * kAttendedOne);
  }
}

void Audit::kept(const AuditPlace& place) {
  const std::size_t cells = grid_size(place.document_rows, orders_.cell_rows);
  const std::size_t spans = grid_size(place.document_rows, orders_.span_rows);
  const auto [at, fresh] = maps_.try_emplace({place.sequence, place.layer});
  VARVE_CHECK(fresh, "sequence {} tells twice what layer {} kept", place.sequence, place.layer);
  KeptMap& map = at->second;
  map = {place.sequence, static_cast<std::uint32_t>(place.layer),
         std::vector<std::uint32_t>(model_.kv_heads * cells)};
  KeptSpans& sum = kept_[place.sequence];
  sum.sequence = place.sequence;
  sum.rows.resize(spans);
  sum.layers.resize(spans);
  std::vector<bool> touched(spans);
  for (const SegmentView& segment : place.segments) {
    for (std::size_t head = 0; head < model_.kv_heads; ++head) {
      for (const std::int32_t p : fetch_positions(segment, head)) {
        const auto position = static_cast<std::size_t>(p);
        if (position >= place.document_rows) break;
        ++map.rows[head * cells + position / orders_.cell_rows];
        ++sum.rows[position / orders_.span_rows];
        touched[position / orders_.span_rows] = true;
      }
    }
  }
  for (std::size_t s = 0; s < spans; ++s) sum.layers[s] += touched[s] ? 1U : 0U;
}

void Audit::step_done(std::size_t bytes) {
  const auto time = std::chrono::steady_clock::now() - begin_;
  memory_.add(std::chrono::duration_cast<std::chrono::milliseconds>(time), bytes);
}

AuditReport Audit::report() const {
  AuditReport report;
  for (const auto& [place, map] : maps_) report.maps.push_back(map);
  for (const auto& [sequence, spans] : kept_) report.kept.push_back(spans);
  for (const auto& [sequence, sum] : attended_) report.attended.push_back(sum);
  report.memory = memory_.samples();
  return report;
}

}  // namespace varve
