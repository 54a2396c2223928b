#include "common/plan/cache_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "common/plan/segment_shape.h"
#include "common/policy/allocation.h"
#include "common/policy/kept_bytes.h"

namespace varve {
namespace {

std::size_t room_bytes(const ModelConfig& model, const RowRoom& room, DType dtype) {
  return segment_bytes(SegmentShape::even(model, room.rows, dtype, room.shared_positions),
                       model.head_dim);
}

bool is_per_question(const PolicyConfig& policy) {
  return policy.compaction.name == "after_question";
}

std::size_t largest(std::vector<std::size_t> values, std::size_t count) {
  count = std::min(count, values.size());
  const auto end = values.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(values.begin(), end, values.end(), std::greater<>());
  return std::accumulate(values.begin(), end, std::size_t{0});
}

}  // namespace

CachePlan::CachePlan(const ModelConfig& model, const JobShape& job) {
  const PolicyConfig& policy = job.policy;
  if (policy.compaction.name != "never") {
    timing_ = is_per_question(policy) ? Timing::kPerQuestion : Timing::kOnce;
  }
  questions_ = std::min(job.parallel, job.questions.size());
  alone_ = job.questions.size() == 1;
  streams_ = policy.compaction.name == "per_chunk";
  // Of several questions that are compacted, one may have ended before another is read; and which
  // ones are open at a time depends on when answers end.
  exact_ = is_known_before(policy) && (timing_ != Timing::kPerQuestion || alone_) &&
           (policy.decode.name == "keep" || questions_ == job.questions.size());
  budget_ = budget_rows(policy, job.prefix_rows, model, job.kv_dtype);

  std::vector<std::uint32_t> budgets(model.layers, static_cast<std::uint32_t>(budget_));
  if (!needs_uncertainty(policy)) {
    budgets = layer_budgets(policy, budget_, job.prefix_rows, model.layers);
  }
  layers_.resize(model.layers);
  for (std::size_t l = 0; l < model.layers; ++l) {
    if (l > 0 && budgets[l] == budgets[l - 1]) {
      layers_[l] = layers_[l - 1];
    } else {
      fill_layer(model, job, budgets[l], layers_[l]);
    }
  }
  if (needs_uncertainty(policy)) bound_kept(model, job);
  plain_slots_ = slots_of(job);
  // Also where no slot is needed: keys move once, or queries are turned back for their moments.
  if (policy.positions == Positions::kCompact || document_needs(policy).query_moments) {
    work_bytes_ += plain_keys_bytes(model, job.step_rows(), plain_slots_, job.kv_dtype);
  }
  for (const std::uint32_t rows : job.probes) {
    work_bytes_ += room_bytes(model, {rows, true}, job.kv_dtype);
  }
}

void CachePlan::fill_layer(const ModelConfig& model, const JobShape& job, std::size_t budget,
                           Layer& layer) {
  const PolicyConfig& policy = job.policy;
  const RowRoom room = document_room(policy, budget, job.prefix_rows);
  layer.needs = document_needs(policy);
  // A stream is read for its policy alone.
  if (room.shared_positions) layer.needs = layer.needs | job.observed;
  layer.document = room_bytes(model, room, job.kv_dtype);
  std::size_t caches = 1;  // of the document
  if (reads_locally(policy, budget, job.prefix_rows)) {
    caches = job.probes.size();
    const RowRoom own{own_kept_rows(policy, budget), false};
    layer.document += caches * room_bytes(model, own, job.kv_dtype);
  }
  layer.observed = observed_bytes(model, layer.needs, room.rows);
  const std::size_t heads = model.kv_heads;
  const std::size_t probed = heads * probed_rows(policy, budget, job.prefix_rows);
  layer.observed += caches * probed * sizeof(float);
  const KeptBytes bytes = is_known_before(policy)
                              ? kept_bytes(policy, model, budget, job.kv_dtype)
                              : most_kept_bytes(policy, model, heads, heads * budget, job.kv_dtype);
  layer.kept = timing_ == Timing::kNever ? layer.document : caches * bytes.held;
  layer.making = (caches - 1) * bytes.held + bytes.making;
  if (timing_ == Timing::kPerQuestion && !answer_needs(policy).any()) {
    layer.copied = layer.observed;
  }
  if (policy.decode.name == "one_pool") layer.watched = observed_bytes(model, layer.needs, budget);
  layer.own = own_bytes(model, job, budget, layer);
}

std::size_t CachePlan::own_bytes(const ModelConfig& model, const JobShape& job, std::size_t budget,
                                 const Layer& layer) const {
  ObservedNeeds needs = answer_needs(job.policy);
  // A copy of the document's, kept for the answer.
  const bool of_document = timing_ == Timing::kPerQuestion && needs.any() && layer.observed > 0;
  if (of_document || job.policy.decode.name == "one_pool") needs = needs | layer.needs;
  std::vector<std::size_t> bytes;
  for (const OwnRows& own : job.questions) {
    const std::size_t pool = pool_budget(job.policy, budget, job.prefix_rows);
    const RowRoom room = question_room(job.policy, pool, budget, own);
    bytes.push_back(room_bytes(model, room, job.kv_dtype));
    // Where no row goes, nobody looks.
    if (of_document || !room.shared_positions) {
      bytes.back() += observed_bytes(model, needs, of_document ? job.prefix_rows : room.rows);
    }
  }
  return largest(std::move(bytes), questions_);
}

// Every layer keeps at least `least` rows, so that k layers keep at most what that leaves of the
// sum.
void CachePlan::bound_kept(const ModelConfig& model, const JobShape& job) {
  const Protected kept = protected_rows(job.policy, budget_);
  const std::size_t least = std::min(budget_, kept.first + kept.last + 1);
  const std::size_t all = model.layers * budget_;
  for (std::size_t k = 0; k <= model.layers; ++k) {
    const std::size_t rows = std::min(k * job.prefix_rows, all - (model.layers - k) * least);
    most_kept_.push_back(most_kept_bytes(job.policy, model, k * model.kv_heads,
                                         k == 0 ? 0 : model.kv_heads * rows, job.kv_dtype)
                             .held);
  }
  const std::size_t most = std::min(job.prefix_rows, all - (model.layers - 1) * least);
  if (!storage_dtype(job.policy)) return;
  most_staging_ = room_bytes(model, {most, false}, job.kv_dtype);
}

std::size_t CachePlan::slots_of(const JobShape& job) const {
  const PolicyConfig& policy = job.policy;
  if (policy.positions == Positions::kOriginal) return 0;
  const RowRoom document = document_room(policy, budget_, job.prefix_rows);
  std::size_t slots = document.shared_positions ? 0 : document.rows;
  if (reads_locally(policy, budget_, job.prefix_rows)) slots += own_kept_rows(policy, budget_);
  const std::size_t before = policy.decode.name == "one_pool" ? 0 : budget_;
  for (const OwnRows& own : job.questions) {
    const std::size_t pool = pool_budget(policy, budget_, job.prefix_rows);
    const RowRoom room = question_room(policy, pool, budget_, own);
    if (!room.shared_positions) slots = std::max(slots, before + room.rows);
  }
  return slots;
}

std::size_t CachePlan::sum(LayerRange layers, std::size_t Layer::*part) const {
  std::size_t bytes = 0;
  for (std::size_t l = layers.begin; l < layers.end; ++l) bytes += layers_[l].*part;
  return bytes;
}

// Of the first so many of the layers.
std::size_t CachePlan::kept_of(LayerRange layers, std::size_t first) const {
  if (!most_kept_.empty()) return most_kept_[first];
  const LayerRange done{layers.begin, layers.begin + first};
  return sum(done, &Layer::kept) + sum(done, &Layer::watched);
}

// The same while the next layer is made.
std::size_t CachePlan::making_of(LayerRange layers, std::size_t first) const {
  if (!most_kept_.empty()) return most_kept_[first + 1] + most_staging_;
  return kept_of(layers, first) + layers_[layers.begin + first].making;
}

// Most while the layers are compacted one after the other, each one's `going` bytes being freed
// once its copy is made.
std::size_t CachePlan::compacting(LayerRange layers, std::size_t (*going)(const Layer&)) const {
  std::size_t most = 0;
  std::size_t full = 0;
  for (std::size_t l = layers.begin; l < layers.end; ++l) full += going(layers_[l]);
  for (std::size_t i = 0; i < layers.count(); ++i) {
    most = std::max(most, making_of(layers, i) + full);
    full -= going(layers_[layers.begin + i]);
  }
  return most;
}

// Questions that copy what they keep of the document, beside it.
std::size_t CachePlan::copies_of_questions(LayerRange layers) const {
  const std::size_t own = sum(layers, &Layer::own);
  if (questions_ == 0) return 0;
  const std::size_t copied = sum(layers, &Layer::copied);
  const std::size_t one = compacting(layers, [](const Layer& l) { return l.copied; });
  const std::size_t others = questions_ - 1;
  return own + std::max({questions_ * copied, others * copied + one, others * kept(layers) + one,
                         questions_ * kept(layers)});
}

// The document's rows stay until the last question is compacted, and then go layer by layer if that
// question is the only one.
std::size_t CachePlan::once_per_question(LayerRange layers) const {
  if (!alone_ || questions_ == 0) return document(layers) + copies_of_questions(layers);
  const std::size_t own = sum(layers, &Layer::own);
  const std::size_t open = document(layers) + own + sum(layers, &Layer::copied);
  const auto going = [](const Layer& l) { return l.document + l.copied; };
  return std::max(open, own + compacting(layers, going));
}

std::size_t CachePlan::document(LayerRange layers) const {
  return sum(layers, &Layer::document) + sum(layers, &Layer::observed);
}

std::size_t CachePlan::branch(LayerRange layers) const {
  if (streams_) return peak(layers) - work_bytes_;
  if (timing_ == Timing::kPerQuestion) return copies_of_questions(layers);
  const std::size_t own = sum(layers, &Layer::own);
  if (timing_ == Timing::kNever) return own;
  const std::size_t making = compacting(layers, [](const Layer&) { return std::size_t{0}; });
  return std::max(making, kept_of(layers, layers.count()) + own);
}

std::size_t CachePlan::peak(LayerRange layers) const {
  std::size_t bytes = std::max(work_bytes_ + document(layers), answering(layers));
  if (timing_ == Timing::kOnce) {
    const auto going = [](const Layer& l) { return l.document + l.observed; };
    bytes = std::max(bytes, work_bytes_ + compacting(layers, going));
  } else if (timing_ == Timing::kPerQuestion) {
    bytes = std::max(bytes, work_bytes_ + once_per_question(layers));
  }
  return bytes;
}

std::size_t CachePlan::answering(LayerRange layers) const {
  const bool copies = timing_ == Timing::kPerQuestion;
  const std::size_t times = copies ? questions_ : 1;
  return work_bytes_ + times * kept_of(layers, layers.count()) + sum(layers, &Layer::own);
}

}  // namespace varve
