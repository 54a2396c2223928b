#include "worker/cache/stage_cache.h"

#include <algorithm>

#include "common/error.h"

namespace varve {

StageCache::StageCache(const ModelConfig& model, LayerRange layers, DType dtype, Ops& ops)
    : model_(model), layers_(layers), dtype_(dtype), ops_(ops) {}

StageCache::Sequence& StageCache::find(std::uint32_t sequence) {
  const auto found = sequences_.find(sequence);
  VARVE_CHECK(found != sequences_.end(), "sequence {} is not open", sequence);
  return found->second;
}

void StageCache::open(std::uint32_t sequence, std::uint32_t parent, std::size_t capacity) {
  VARVE_CHECK(!sequences_.contains(sequence), "sequence {} is open already", sequence);
  Sequence fresh{std::vector<LayerCache>(layers_.count())};
  if (parent != kNoSequence) {
    Sequence& from = find(parent);
    for (std::size_t local = 0; local < layers_.count(); ++local) {
      LayerCache& theirs = from.layers[local];
      fresh.layers[local].shared = theirs.shared;
      if (theirs.own == nullptr) continue;
      theirs.own->seal();
      fresh.layers[local].shared.push_back(theirs.own);
    }
  }
  for (LayerCache& cache : fresh.layers) {
    if (capacity == 0) break;
    cache.own = std::make_shared<Segment>(model_, capacity, dtype_, ops_, ledger_);
  }
  sequences_.emplace(sequence, std::move(fresh));
}

void StageCache::release(std::uint32_t sequence) {
  find(sequence);
  sequences_.erase(sequence);
}

void StageCache::append(LayerCache& cache, const SequenceRows& rows, std::size_t at,
                        std::span<const std::int32_t> positions, ConstMatrix k, ConstMatrix v) {
  VARVE_CHECK(cache.own != nullptr, "sequence {} has no rows of its own", rows.sequence);
  const auto part = [&](ConstMatrix m) {
    return ConstMatrix{m.row(at), rows.count, m.cols, m.stride};
  };
  cache.own->append(part(k), part(v), positions.subspan(at, rows.count));
}

// One item per segment and run of neighbouring rows that see it: questions over one document come
// as one item, so a backend may read the document's rows once for all of them. Shared segments
// stand before own ones, which is each row's fold order.
void StageCache::collect_items(std::size_t local, std::span<const SequenceRows> rows) {
  items_.clear();
  std::size_t deepest = 0;
  for (const SequenceRows& r : rows) {
    deepest = std::max(deepest, find(r.sequence).layers[local].shared.size());
  }
  const auto add = [this](std::size_t at, std::size_t count, const Segment& segment) {
    const SegmentView view = segment.view();
    AttendItem* last = items_.empty() ? nullptr : &items_.back();
    if (last != nullptr && last->segment.keys == view.keys &&
        last->row_begin + last->row_count == at) {
      last->row_count += count;
    } else {
      items_.push_back({at, count, view});
    }
  };
  for (std::size_t depth = 0; depth <= deepest; ++depth) {
    std::size_t at = 0;
    for (const SequenceRows& r : rows) {
      const LayerCache& cache = find(r.sequence).layers[local];
      if (depth < cache.shared.size()) {
        add(at, r.count, *cache.shared[depth]);
      } else if (depth == cache.shared.size()) {
        add(at, r.count, *cache.own);
      }
      at += r.count;
    }
  }
}

void StageCache::attend(std::size_t layer, std::span<const SequenceRows> rows,
                        std::span<const std::int32_t> positions, ConstMatrix q, ConstMatrix k,
                        ConstMatrix v, const AttendParams& params, Partial out) {
  const std::size_t local = layer - layers_.begin;
  std::size_t at = 0;
  for (const SequenceRows& r : rows) {
    append(find(r.sequence).layers[local], r, at, positions, k, v);
    at += r.count;
  }
  collect_items(local, rows);
  ops_.clear(out);
  ops_.attend(q, positions, items_, params, out);
}

}  // namespace varve
