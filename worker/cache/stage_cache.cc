#include "worker/cache/stage_cache.h"

#include <algorithm>
#include <numeric>

#include "common/error.h"
#include "common/policy/allocation.h"
#include "worker/policy/guided.h"

namespace varve {
namespace {

// Rows of each head; they are as many in all of them.
std::size_t rows_of(const LayerCache& cache) {
  std::size_t rows = cache.own == nullptr ? 0 : cache.own->rows(0);
  for (const auto& segment : cache.shared) rows += segment->rows(0);
  return rows;
}

bool is_compact(const CachePolicy& policy) {
  return policy.config.positions == Positions::kCompact;
}

// Queries at the start that do not count for a document's moments: those that its policy keeps, or,
// if that asks for no moments, one that may compact a fork of it.
std::size_t skipped_queries(const CachePolicy& own,
                            std::span<const std::unique_ptr<CachePolicy>> all) {
  if (document_needs(own.config).query_moments) return own.config.keep_first;
  for (const auto& policy : all) {
    if (document_needs(policy->config).query_moments) return policy->config.keep_first;
  }
  return 0;
}

}  // namespace

StageCache::StageCache(const ModelConfig& model, LayerRange layers, Options options, Ops& ops)
    : model_(model),
      layers_(layers),
      options_(std::move(options)),
      ops_(ops),
      compactor_(model, ops, ledger_) {
  if (options_.policies.empty()) options_.policies.emplace_back();
  for (const PolicyConfig& policy : options_.policies) {
    policies_.push_back(std::make_unique<CachePolicy>(policy));
  }
  bool turns = options_.plain_slots > 0;
  for (const auto& policy : policies_) {
    if (policy->config.compaction.name != "per_chunk") {
      needs_ = needs_ | document_needs(policy->config);
    }
    turns = turns || is_compact(*policy) || document_needs(policy->config).query_moments;
  }
  if (turns) {
    plain_ = std::make_unique<PlainKeys>(model_, options_.inv_freq, options_.rows,
                                         options_.plain_slots, options_.dtype, ops_, ledger_);
  }
  if (options_.audit) audit_ = std::make_unique<Audit>(model, layers, options_.audit, ops);
  for (const std::uint32_t rows : options_.probe_rows) {
    probes_.push_back(std::make_unique<Segment>(SegmentShape::even(model_, rows, options_.dtype),
                                                model_.head_dim, ops_, ledger_));
  }
}

StageCache::Sequence& StageCache::find(std::uint32_t sequence) {
  const auto found = sequences_.find(sequence);
  VARVE_CHECK(found != sequences_.end(), "sequence {} is not open", sequence);
  return found->second;
}

void StageCache::set_budgets(Sequence& fresh, const Sequence* parent) const {
  const PolicyConfig& policy = fresh.policy->config;
  const std::size_t rows = fresh.document_rows;
  if (needs_uncertainty(policy)) {
    if (parent != nullptr) fresh.budgets = parent->budgets;
  } else {
    const std::size_t budget = budget_rows(policy, rows, model_, options_.dtype);
    fresh.budgets = layer_budgets(policy, budget, rows, model_.layers);
  }
  if (parent == nullptr || policy.decode.name != "one_pool") return;
  fresh.inherited = fresh.budgets;
  for (std::uint32_t& budget : fresh.budgets) {
    budget = static_cast<std::uint32_t>(pool_budget(policy, budget, rows));
  }
}

// By counts of the whole model, so that all stages decide alike. What never loses a row simply
// grows, and is the full cache bit for bit.
void StageCache::set_growth(Sequence& fresh, const Sequence* parent) const {
  const PolicyConfig& policy = fresh.policy->config;
  const auto layers_lose_rows = [&](std::size_t own) {
    for (std::size_t layer = 0; layer < fresh.budgets.size(); ++layer) {
      const std::size_t before = fresh.inherited.empty() ? 0 : fresh.inherited[layer];
      if (before + own > fresh.budgets[layer]) return true;
    }
    return false;
  };
  if (parent == nullptr) {
    const bool streams = policy.compaction.name == "per_chunk";
    if (!streams || !layers_lose_rows(fresh.capacity)) return;
    fresh.growth = Growth::kStream;
    if (policy.scorer.name != "guided") return;
    fresh.local = reads_locally(policy, fresh.budgets.front(), fresh.capacity);
    if (!fresh.local) set_together(fresh);
    return;
  }
  if (policy.decode.name == "one_pool") {
    if (layers_lose_rows(fresh.capacity)) fresh.growth = Growth::kStream;
    return;
  }
  const std::size_t answer = fresh.capacity - fresh.prompt_rows;
  const DecodeSchedule schedule(policy.decode, answer);
  if (!schedule.has_pool() || schedule.peak_rows() >= answer) return;
  fresh.growth = Growth::kPool;
  fresh.schedule = schedule;
}

// All layers have the same budget: such a policy is uniform.
void StageCache::set_together(Sequence& fresh) const {
  const PolicyConfig& policy = fresh.policy->config;
  const std::string_view scope = policy.scorer.choice("scope");
  if (scope == "head") return;
  const bool global = scope == "global";
  SharedSelection::Options options;
  options.lag = global ? policy.scorer.count("lag") : 0;
  options.kernel = policy.scorer.count("kernel");
  options.keep = keep_of(fresh, 0);
  ScoreExchange* exchange = global ? options_.exchange : nullptr;
  if (exchange == nullptr) {
    fresh.own_scores = std::make_unique<OwnScores>();
    exchange = fresh.own_scores.get();
  }
  fresh.together = std::make_unique<SharedSelection>(options, *exchange);
}

StageCache::Sequence StageCache::make_sequence(const Step& step, const Sequence* parent) const {
  VARVE_CHECK(step.policy < policies_.size(), "policy {} of {}", step.policy, policies_.size());
  const CachePolicy& policy = *policies_[step.policy];
  Sequence fresh;
  fresh.policy = &policy;
  fresh.is_document = parent == nullptr;
  fresh.begin = parent == nullptr ? 0 : parent->begin + parent->seen;
  fresh.document_rows = parent == nullptr ? step.capacity : parent->document_rows;
  fresh.capacity = step.capacity;
  fresh.prompt_rows = step.prompt_rows;
  fresh.questions = step.questions;
  fresh.question = step.question;
  fresh.layers.resize(layers_.count());
  set_budgets(fresh, parent);
  set_growth(fresh, parent);
  const bool watches = policy.config.compaction.name == "after_question";
  fresh.observes =
      fresh.is_document || fresh.growth != Growth::kGrow || (watches && step.capacity > 0);
  fresh.plain_keys = is_compact(policy) && fresh.growth != Growth::kGrow;
  VARVE_CHECK(!fresh.plain_keys || plain_ != nullptr, "no room planned for plain keys");
  return fresh;
}

void StageCache::open(const Step& step) {
  VARVE_CHECK(!sequences_.contains(step.sequence), "sequence {} is open already", step.sequence);
  Sequence* parent = step.parent == kNoSequence ? nullptr : &find(step.parent);
  Sequence fresh = make_sequence(step, parent);
  for (std::size_t local = 0; local < layers_.count(); ++local) {
    open_layer(fresh, local, parent);
    const bool alone = parent != nullptr && !parent->layers[local].questions.empty();
    if (alone) audit_kept(step.sequence, fresh, local);
  }
  sequences_.emplace(step.sequence, std::move(fresh));
}

RowRoom StageCache::room_of(const Sequence& sequence, std::size_t local) const {
  const PolicyConfig& policy = sequence.policy->config;
  const std::size_t layer = model_layer(local);
  const std::size_t budget = sequence.budgets.empty() ? 0 : sequence.budgets[layer];
  if (sequence.is_document) return document_room(policy, budget, sequence.capacity);
  const OwnRows own{sequence.prompt_rows, sequence.capacity - sequence.prompt_rows};
  if (policy.decode.name == "one_pool" && sequence.growth == Growth::kGrow) {
    return {own.total(), true};
  }
  return question_room(policy, budget, sequence.inherited.empty() ? 0 : sequence.inherited[layer],
                       own);
}

void StageCache::open_layer(Sequence& fresh, std::size_t local, Sequence* parent) {
  LayerCache& cache = fresh.layers[local];
  if (parent != nullptr) {
    LayerCache& theirs = parent->layers[local];
    cache.shared =
        theirs.questions.empty() ? theirs.shared : theirs.questions.at(fresh.question).shared;
    if (theirs.own != nullptr) {
      theirs.own->seal();
      cache.shared.push_back(theirs.own);
    }
  }
  const RowRoom room = room_of(fresh, local);
  if (room.rows > 0) {
    const SegmentShape shape =
        SegmentShape::even(model_, room.rows, options_.dtype, room.shared_positions);
    cache.own = std::make_shared<Segment>(shape, model_.head_dim, ops_, ledger_);
  }
  if (parent == nullptr && fresh.growth == Growth::kStream) open_probed(fresh, local);
  cache.observed = open_observed(fresh, local, parent);
  if (parent != nullptr && fresh.growth == Growth::kStream) {
    std::vector<SegmentView> from;
    for (const auto& segment : cache.shared) from.push_back(segment->view());
    if (!from.empty()) compactor_.gather(from, all_rows(from), *cache.own);
    cache.shared.clear();
    if (fresh.plain_keys && !parent->plain_keys) plain_->unsettle(*cache.own);
  }
}

// Of a stream that is guided.
void StageCache::open_probed(Sequence& fresh, std::size_t local) {
  const std::size_t budget = fresh.budgets[model_layer(local)];
  const std::size_t rows = probed_rows(fresh.policy->config, budget, fresh.capacity);
  if (fresh.local) {
    open_questions(fresh, local, rows);
  } else if (rows > 0) {
    fresh.layers[local].probed = std::make_unique<ProbedRows>(model_.kv_heads, rows, ledger_);
  }
}

// A document observes what any policy may want to know when it compacts a fork of it.
std::shared_ptr<TrackedObserved> StageCache::open_observed(const Sequence& fresh, std::size_t local,
                                                           const Sequence* parent) {
  const PolicyConfig& policy = fresh.policy->config;
  const auto track = [this](Observed observed) {
    return std::make_shared<TrackedObserved>(std::move(observed), ledger_);
  };
  if (parent == nullptr) {
    ObservedNeeds needs = document_needs(policy);
    if (fresh.growth != Growth::kStream) needs = needs | needs_;
    if (!needs.any()) return nullptr;
    const std::size_t skip = skipped_queries(*fresh.policy, policies_);
    return track({model_, needs, room_of(fresh, local).rows, skip, ops_});
  }
  const std::shared_ptr<TrackedObserved>& theirs = parent->layers[local].observed;
  if (policy.compaction.name == "after_question" && theirs != nullptr) {
    return track(theirs->get().copy(theirs->get().rows()));
  }
  const ObservedNeeds needs = answer_needs(policy);
  const bool evicts = fresh.growth != Growth::kGrow;
  if (!evicts || !needs.any()) return theirs;
  const std::size_t rows = room_of(fresh, local).rows;
  if (fresh.growth == Growth::kStream && theirs != nullptr) return track(theirs->get().copy(rows));
  return track({model_, needs, rows, policy.keep_first, ops_});
}

void StageCache::release(std::uint32_t sequence) {
  note_end(sequence, find(sequence));
  sequences_.erase(sequence);
}

// Of one layer, as evictions come to one after the other.
std::size_t StageCache::next_rotation(const Sequence& sequence, std::size_t local) const {
  if (is_compact(*sequence.policy)) return rows_of(sequence.layers[local]);
  return sequence.begin + sequence.seen;
}

std::size_t StageCache::held(const Sequence& sequence) const {
  return rows_of(sequence.layers.front());
}

void StageCache::begin(std::span<const SequenceRows> rows, std::span<std::int32_t> rotations) {
  std::size_t at = 0;
  std::size_t kept = 0;  // rows of the step, of the sequence whose probes may follow
  for (const SequenceRows& r : rows) {
    const Sequence& sequence = find(r.sequence);
    if (!r.probe) kept = r.count;
    std::size_t held_before = held(sequence) + (r.probe ? kept : 0);
    if (r.probe && sequence.local && contrast_of(sequence) == 0) {
      held_before += sequence.layers.front().questions.front().kept->rows(0);
    }
    const std::size_t first = is_compact(*sequence.policy) ? held_before : r.begin;
    const auto out = rotations.subspan(at, r.count);
    std::iota(out.begin(), out.end(), static_cast<std::int32_t>(first));
    at += r.count;
  }
  if (plain_) plain_->begin(rotations);
}

void StageCache::append(Sequence& sequence, std::size_t local, const SequenceRows& rows,
                        std::size_t at, std::span<const std::int32_t> positions, Matrix k,
                        ConstMatrix v) {
  Segment* own = sequence.layers[local].own.get();
  VARVE_CHECK(own != nullptr, "sequence {} has no rows of its own", rows.sequence);
  const Matrix keys = k.slice(at, rows.count);
  if (sequence.plain_keys) plain_->turn_back(keys, at);
  own->append(keys, {v.row(at), rows.count, v.cols, v.stride}, positions.subspan(at, rows.count));
}

std::span<const SegmentView> StageCache::views(const Sequence& sequence, std::size_t local) {
  const LayerCache& cache = sequence.layers[local];
  views_.clear();
  std::size_t rows = 0;
  for (const auto& segment : cache.shared) {
    views_.push_back(segment->view());
    rows += segment->rows(0);
  }
  if (cache.own == nullptr) return views_;
  const SegmentView own = cache.own->view();
  views_.push_back(sequence.plain_keys ? plain_->turn(own, rows) : own);
  return views_;
}

// One item per segment and run of neighbouring rows that see it: questions over one document come
// as one item, so a backend may read the document's rows once for all of them. Shared segments
// stand before own ones, which is each row's fold order. Own segments with plain keys are left out,
// and probes that see more.
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
      const Sequence& sequence = find(r.sequence);
      const LayerCache& cache = sequence.layers[local];
      if (depth < cache.shared.size()) {
        add(at, r.count, *cache.shared[depth]);
      } else if (depth == cache.shared.size() && !sequence.plain_keys &&
                 !(r.probe && sequence.local)) {
        add(at, r.count, *cache.own);
      }
      at += r.count;
    }
  }
}

void StageCache::attend(std::size_t layer, std::span<const SequenceRows> rows,
                        std::span<const std::int32_t> positions, ConstMatrix q, Matrix k,
                        ConstMatrix v, const AttendParams& params, Partial out) {
  const std::size_t local = layer - layers_.begin;
  params_ = params;
  append_all(local, rows, positions, k, v);
  collect_items(local, rows);
  ops_.clear(out);
  ops_.attend(q, positions, items_, params, out);
  Attending step{positions, q, out};
  std::size_t at = 0;
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i + 1;
    std::size_t count = rows[i].count;
    for (; end < rows.size() && rows[end].probe; ++end) count += rows[end].count;
    finish_rows(local, rows.subspan(i, end - i), at, step);
    step.probes += end - i - 1;
    at += count;
    i = end;
  }
}

void StageCache::append_all(std::size_t local, std::span<const SequenceRows> rows,
                            std::span<const std::int32_t> positions, Matrix k, ConstMatrix v) {
  std::size_t at = 0;
  std::size_t probe = 0;
  for (const SequenceRows& r : rows) {
    if (r.probe) {
      keep_probe(probe++, r, at, positions, k, v);
    } else {
      append(find(r.sequence), local, r, at, positions, k, v);
    }
    at += r.count;
  }
}

// Of one sequence's rows and the probes behind them: what they see of keys that have to be turned,
// and what is to be known of their attention.
void StageCache::finish_rows(std::size_t local, std::span<const SequenceRows> rows, std::size_t at,
                             const Attending& step) {
  Sequence& sequence = find(rows.front().sequence);
  const std::size_t own = rows.front().count;
  const std::span<const SequenceRows> probes = rows.subspan(1);
  if (sequence.plain_keys) {
    // One sequence after the other: they turn their keys in the same work memory.
    std::size_t seeing = own;
    for (const SequenceRows& r : probes) seeing += sequence.local ? 0 : r.count;
    const AttendItem item{at, seeing, views(sequence, local).back()};
    ops_.attend(step.q, step.positions, {&item, 1}, params_, step.out);
  }
  ObservedRows observed = step.rows(at, own);
  if (plain_) observed.back = plain_->back(at, own);
  observe(sequence, local, observed);
  if (audit_ != nullptr && rows.front().sample && !sequence.is_document) {
    audit_answer(rows.front().sequence, sequence, local, step.rows(at + own - 1, 1));
  }
  if (probes.empty()) return;
  if (sequence.local) {
    attend_question_probes(sequence, local, probes, at + own, step);
  } else {
    attend_probes(sequence, local, probes, at + own, step);
  }
}

void StageCache::keep_probe(std::size_t probe, const SequenceRows& rows, std::size_t at,
                            std::span<const std::int32_t> positions, ConstMatrix k, ConstMatrix v) {
  VARVE_CHECK(probe < probes_.size(), "probe {} of {}", probe, probes_.size());
  probes_[probe]->clear();
  probes_[probe]->append({k.row(at), rows.count, k.cols, k.stride},
                         {v.row(at), rows.count, v.cols, v.stride},
                         positions.subspan(at, rows.count));
}

// Each probe sees itself last; then it is known what it pays to the sequence's rows.
void StageCache::attend_probes(Sequence& sequence, std::size_t local,
                               std::span<const SequenceRows> rows, std::size_t at,
                               const Attending& step) {
  items_.clear();
  std::size_t begin = at;
  for (std::size_t p = 0; p < rows.size(); ++p) {
    items_.push_back({begin, rows[p].count, probes_[step.probes + p]->view()});
    begin += rows[p].count;
  }
  ops_.attend(step.q, step.positions, items_, params_, step.out);
  // Where every row stays, nobody asks what they pay.
  ProbedRows* into = sequence.layers[local].probed.get();
  if (into == nullptr) return;
  sequence.probed = true;
  if (!votes(sequence, local)) return;
  const SegmentView own = views(sequence, local).back();
  const Matrix paid = into->reset(own.most_rows());
  const bool sum = sequence.policy->config.scorer.choice("tokens") == "sum";
  for (const SequenceRows& r : rows) {
    add_probe(ops_, params_, step.rows(at, r.count), own, sum, paid);
    at += r.count;
  }
}

// Where each layer chooses for itself, each has its say; so it has if nobody else of the stage
// does.
bool StageCache::votes(const Sequence& sequence, std::size_t local) const {
  const PolicyConfig& policy = sequence.policy->config;
  const std::string_view scope = policy.scorer.choice("scope");
  const auto is_voter = [&](std::size_t layer) {
    return varve::votes(policy, model_layer(layer), model_.layers);
  };
  if (scope == "head" || is_voter(local)) return true;
  if (scope == "global") return false;
  for (std::size_t layer = 0; layer < layers_.count(); ++layer) {
    if (is_voter(layer)) return false;
  }
  return true;
}

// A question that watches its document does not watch its own rows, which stay.
void StageCache::observe(Sequence& sequence, std::size_t local, const ObservedRows& rows) {
  const std::shared_ptr<TrackedObserved>& observed = sequence.layers[local].observed;
  if (observed == nullptr || rows.q.rows == 0) return;
  // A fork's that is not its own any more than its document's is only looked at.
  if (!sequence.observes) return;
  std::span<const SegmentView> segments = views(sequence, local);
  if (!sequence.is_document && sequence.growth != Growth::kStream && sequence.layers[local].own) {
    segments = segments.first(segments.size() - 1);
  }
  observed->get().observe(rows, segments, params_);
}

}  // namespace varve
