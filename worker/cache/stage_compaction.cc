// The part of StageCache by which rows go: evictions after a step, compactions as steps of their
// own, and their receipts.
#include <algorithm>
#include <numeric>

#include "common/error.h"
#include "common/policy/allocation.h"
#include "worker/cache/stage_cache.h"
#include "worker/policy/guided.h"
#include "worker/policy/uncertainty.h"

namespace varve {
namespace {

// The same rows, the first `from` of each head left out.
SegmentView behind(const SegmentView& segment, std::size_t from, std::vector<HeadRows>& heads) {
  heads.assign(segment.heads.begin(), segment.heads.end());
  for (HeadRows& head : heads) {
    head.begin += static_cast<std::uint32_t>(from);
    head.rows -= static_cast<std::uint32_t>(from);
  }
  SegmentView view = segment;
  view.heads = heads;
  return view;
}

}  // namespace

// Counts of this sequence alone, at boundaries that no chunk size and no other sequence moves.
bool StageCache::is_due(const Sequence& sequence) const {
  if (sequence.growth == Growth::kGrow) return false;
  if (sequence.is_document) {
    return sequence.seen % sequence.policy->config.compaction.count("rows") == 0;
  }
  if (sequence.growth == Growth::kStream) return sequence.seen >= sequence.prompt_rows;
  return sequence.seen > sequence.prompt_rows &&
         sequence.schedule->due(sequence.seen - sequence.prompt_rows);
}

void StageCache::settle(std::span<const SequenceRows> rows) {
  for (const SequenceRows& r : rows) {
    if (r.probe) continue;
    Sequence& sequence = find(r.sequence);
    sequence.seen += r.count;
    if (is_due(sequence)) evict(sequence);
  }
}

void StageCache::end_step() {
  if (audit_ != nullptr) audit_->step_done(ledger_.take_high());
}

void StageCache::evict(Sequence& sequence) {
  if (sequence.local) {
    evict_for_questions(sequence);
  } else if (sequence.together != nullptr) {
    VARVE_CHECK(sequence.probed, "no probe came with the rows before a compaction");
    const ProbedSums held = probed_sums(sequence);
    keep_together(sequence, sequence.together->next({held.sums, held.positions}));
  } else {
    for (std::size_t local = 0; local < layers_.count(); ++local) {
      if (sequence.growth == Growth::kStream) {
        evict_from_stream(sequence, local);
      } else {
        evict_from_pool(sequence, local);
      }
    }
  }
}

// Of this stage's layers and heads, which hold the same rows.
StageCache::ProbedSums StageCache::probed_sums(const Sequence& sequence) const {
  const Segment& own = *sequence.layers.front().own;
  ProbedSums held{std::vector<std::int64_t>(own.rows(0)), positions_of(own.view(), 0)};
  for (std::size_t local = 0; local < layers_.count(); ++local) {
    if (votes(sequence, local)) add_fixed(sequence.layers[local].probed->values(), held.sums);
  }
  return held;
}

std::vector<std::int32_t> StageCache::positions_of(const SegmentView& rows,
                                                   std::size_t head) const {
  const std::span<const std::int32_t> held = rows.positions_of(head);
  std::vector<std::int32_t> positions(held.size());
  ops_.download(positions.data(), held.data(), held.size_bytes());
  return positions;
}

void StageCache::keep_together(Sequence& sequence,
                               const std::optional<std::vector<std::uint32_t>>& kept) {
  sequence.probed = false;
  if (!kept) return;
  const KeptRows rows{std::vector(model_.kv_heads, *kept)};
  for (LayerCache& cache : sequence.layers) cache.own->keep(rows);
}

ConstMatrix StageCache::probed_of(const LayerCache& cache) const {
  if (cache.probed == nullptr) return {};
  const std::size_t rows = cache.probed->rows();
  return {cache.probed->values().data(), model_.kv_heads, rows, rows};
}

LayerRows StageCache::layer_rows(const Sequence& sequence, std::size_t local,
                                 std::span<const SegmentView> region) const {
  const TrackedObserved* observed = sequence.layers[local].observed.get();
  return {.ops = ops_,
          .model = model_,
          .params = params_,
          .segments = region,
          .observed = observed == nullptr ? nullptr : &observed->get(),
          .next_position = next_rotation(sequence, local),
          .inv_freq = options_.inv_freq,
          .probed = probed_of(sequence.layers[local])};
}

Keep StageCache::keep_of(const Sequence& sequence, std::size_t local) const {
  const std::size_t budget = sequence.budgets[model_layer(local)];
  const Protected sides = protected_rows(sequence.policy->config, budget);
  return {budget, sides.first, sides.last};
}

void StageCache::evict_from_stream(Sequence& sequence, std::size_t local) {
  LayerCache& cache = sequence.layers[local];
  const Keep keep = keep_of(sequence, local);
  if (cache.own->rows(0) <= keep.budget) return;
  const auto region = views(sequence, local);
  const KeptRows kept =
      compactor_.choose(*sequence.policy->scorer, sequence.policy->config.allocation,
                        layer_rows(sequence, local, region), keep);
  cache.own->keep(kept);
  if (cache.observed) cache.observed->get().gather(kept);
}

void StageCache::evict_from_pool(Sequence& sequence, std::size_t local) {
  LayerCache& cache = sequence.layers[local];
  const std::size_t step = sequence.seen - sequence.prompt_rows;
  const std::size_t prompt = sequence.prompt_rows;
  const Keep keep{sequence.schedule->pool_limit(step), 0, sequence.schedule->recent()};
  if (cache.own->rows(0) - prompt <= keep.budget) return;
  const SegmentView answer = behind(views(sequence, local).back(), prompt, pool_heads_);
  KeptRows kept = compactor_.choose(*sequence.policy->pool_scorer, sequence.policy->pool.allocation,
                                    layer_rows(sequence, local, {&answer, 1}), keep);
  for (std::vector<std::uint32_t>& rows : kept.heads) {
    for (std::uint32_t& row : rows) row += static_cast<std::uint32_t>(prompt);
    rows.insert(rows.begin(), prompt, 0);
    std::iota(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(prompt), 0U);
  }
  cache.own->keep(kept);
}

std::vector<float> StageCache::statistics(std::uint32_t id) {
  const Sequence& sequence = find(id);
  std::vector<float> values;
  if (!needs_uncertainty(sequence.policy->config)) return values;
  for (std::size_t local = 0; local < layers_.count(); ++local) {
    values.push_back(uncertainty(layer_rows(sequence, local, region(sequence, local, true)),
                                 sequence.policy->config));
  }
  return values;
}

void StageCache::compact(std::uint32_t id, std::span<const float> statistics) {
  Sequence& sequence = find(id);
  const PolicyConfig& policy = sequence.policy->config;
  if (!statistics.empty()) {
    const std::size_t rows = sequence.document_rows;
    sequence.budgets = layer_budgets(policy, budget_rows(policy, rows, model_, options_.dtype),
                                     rows, model_.layers, statistics);
  }
  if (sequence.together != nullptr) {
    ProbedSums held;
    std::optional<SharedSelection::Scored> scored;
    if (sequence.probed) {
      held = probed_sums(sequence);
      scored = {held.sums, held.positions};
    }
    keep_together(sequence, sequence.together->last(sequence.layers.front().own->rows(0), scored));
  }
  if (sequence.local) evict_for_questions(sequence);
  for (std::size_t local = 0; local < layers_.count(); ++local) {
    if (sequence.local) {
      compact_for_questions(id, sequence, local);
    } else {
      compact_layer(id, sequence, local);
    }
  }
}

// What is compacted: a document's own rows, or what a question shares of its document.
std::span<const SegmentView> StageCache::region(const Sequence& sequence, std::size_t local,
                                                bool turned) {
  const LayerCache& cache = sequence.layers[local];
  views_.clear();
  if (sequence.is_document) {
    const SegmentView own = cache.own->view();
    views_.push_back(turned && sequence.plain_keys ? plain_->turn(own, 0) : own);
  } else {
    for (const auto& segment : cache.shared) views_.push_back(segment->view());
  }
  return views_;
}

// Keys of kept rows, as later queries want them.
Compactor::Turn StageCache::turn_of(const Sequence& sequence) {
  const CachePolicy& policy = *sequence.policy;
  if (policy.config.positions == Positions::kOriginal) return {};
  if (!sequence.plain_keys) {
    return [this](Segment& floats, const KeptRows& part, std::size_t before) {
      plain_->move(floats, part, before);
    };
  }
  // The questions' streams go on evicting, from plain keys.
  if (policy.config.decode.name == "one_pool") return {};
  return [this](Segment& floats, const KeptRows&, std::size_t before) {
    plain_->settle(floats, before);
  };
}

// A question's own keys stand behind all of the document; now they follow what is left of it.
void StageCache::move_own(const Sequence& sequence, std::size_t local) {
  const LayerCache& cache = sequence.layers[local];
  if (cache.own == nullptr || cache.own->rows(0) == 0) return;
  std::size_t before = 0;
  for (const auto& segment : cache.shared) before += segment->rows(0);
  std::vector<std::uint32_t> from(cache.own->rows(0));
  std::iota(from.begin(), from.end(), static_cast<std::uint32_t>(sequence.document_rows));
  plain_->move(*cache.own, {std::vector(model_.kv_heads, from)}, before);
}

void StageCache::compact_layer(std::uint32_t id, Sequence& sequence, std::size_t local) {
  const CachePolicy& policy = *sequence.policy;
  LayerCache& cache = sequence.layers[local];
  const auto scored = region(sequence, local, true);
  const KeptRows kept =
      policy.scorer == nullptr
          ? all_rows(scored)
          : compactor_.choose(*policy.scorer, policy.config.allocation,
                              layer_rows(sequence, local, scored), keep_of(sequence, local));
  cache.shared =
      compactor_.copy(region(sequence, local, false), kept, policy.config, turn_of(sequence));
  if (sequence.is_document) {
    cache.own.reset();
    cache.probed.reset();
  } else if (policy.config.positions == Positions::kCompact) {
    move_own(sequence, local);
  }
  // A question that evicts rows of its answer still looks at its queries.
  const bool asks = policy.config.compaction.name == "after_question";
  if (!asks || !answer_needs(policy.config).any()) keep_observed(sequence, local, kept);
  note_compaction(sequence, local, cache.shared, id);
  audit_kept(id, sequence, local);
}

// Questions whose streams go on evicting begin with what was observed of the rows that are left.
void StageCache::keep_observed(Sequence& sequence, std::size_t local, const KeptRows& kept) {
  std::shared_ptr<TrackedObserved>& observed = sequence.layers[local].observed;
  if (observed == nullptr) return;
  if (sequence.policy->config.decode.name != "one_pool") {
    observed.reset();
    return;
  }
  std::size_t most = 0;
  for (const auto& rows : kept.heads) most = std::max(most, rows.size());
  Observed gathered = observed->get().copy(observed->get().rows());
  gathered.gather(kept);
  observed = std::make_shared<TrackedObserved>(gathered.copy(most), ledger_);
}

// FNV-1a over the positions of one head after the other.
std::uint64_t StageCache::hash_positions(const Shared& segments, std::uint64_t hash) const {
  for (std::size_t head = 0; head < model_.kv_heads; ++head) {
    for (const auto& segment : segments) {
      const std::vector<std::int32_t> positions = positions_of(segment->view(), head);
      for (const std::byte b : std::as_bytes(std::span(positions))) {
        hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3ULL;
      }
    }
  }
  return hash;
}

void StageCache::note_compaction(const Sequence& sequence, std::size_t local, const Shared& kept,
                                 std::uint64_t id) {
  const auto layer = static_cast<std::uint32_t>(model_layer(local));
  LayerReceipt& receipt = receipts_[{layer, false}];
  receipt.layer = layer;
  receipt.document = true;
  ++receipt.sequences;
  receipt.rows_seen += sequence.document_rows * model_.kv_heads;
  receipt.bytes_before += segment_bytes(
      SegmentShape::even(model_, sequence.document_rows, options_.dtype), model_.head_dim);
  for (const auto& segment : kept) {
    receipt.rows_kept += segment->rows();
    receipt.bytes_after += segment->bytes();
  }
  // A sum, since sequences may come in any order.
  receipt.kept_hash += hash_positions(kept, 0xcbf29ce484222325ULL ^ id);
}

// A question that ends: what its stream or pool has left of the rows that it saw.
void StageCache::note_end(std::uint32_t id, const Sequence& sequence) {
  if (sequence.is_document || sequence.growth == Growth::kGrow) return;
  for (std::size_t local = 0; local < layers_.count(); ++local) {
    const LayerCache& cache = sequence.layers[local];
    const auto layer = static_cast<std::uint32_t>(model_layer(local));
    LayerReceipt& receipt = receipts_[{layer, true}];
    receipt.layer = layer;
    receipt.document = false;
    ++receipt.sequences;
    const std::size_t before = sequence.inherited.empty() ? 0 : sequence.inherited[layer];
    const std::size_t seen = before + sequence.seen;
    receipt.rows_seen += seen * model_.kv_heads;
    receipt.bytes_before +=
        segment_bytes(SegmentShape::even(model_, seen, options_.dtype), model_.head_dim);
    receipt.rows_kept += cache.own->rows();
    receipt.bytes_after += cache.own->bytes();
    // Its stream began with a copy of the document's rows.
    if (sequence.growth == Growth::kStream) audit_kept(id, sequence, local);
  }
}

void StageCache::audit_answer(std::uint32_t id, const Sequence& sequence, std::size_t local,
                              const ObservedRows& row) {
  audit_->attended({id, model_layer(local), sequence.document_rows, views(sequence, local)}, row,
                   params_);
}

void StageCache::audit_kept(std::uint32_t id, const Sequence& sequence, std::size_t local) {
  if (audit_ == nullptr) return;
  audit_->kept({id, model_layer(local), sequence.document_rows, views(sequence, local)});
}

std::vector<LayerReceipt> StageCache::receipts() const {
  std::vector<LayerReceipt> all;
  for (const auto& [key, receipt] : receipts_) all.push_back(receipt);
  return all;
}

}  // namespace varve
