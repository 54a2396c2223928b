#include "coordinator/plan/fit.h"

#include <algorithm>

#include "common/error.h"
#include "common/plan/cache_plan.h"
#include "common/plan/question.h"
#include "common/policy/allocation.h"
#include "common/units.h"

namespace varve {
namespace {

// Tokens: where neither the context nor the memory ends a document that is streamed.
constexpr std::size_t kMostDocument = std::size_t{1} << 30U;

std::string shown(std::size_t bytes) {
  return to_string(Bytes{bytes});
}

std::size_t fullest(const PriceTable& prices, const std::vector<LayerRange>& cut) {
  const auto most = std::max_element(cut.begin(), cut.end(), [&](const auto& a, const auto& b) {
    return prices.at(a).bytes < prices.at(b).bytes;
  });
  return static_cast<std::size_t>(most - cut.begin());
}

std::string ranks_text(std::size_t ranks) {
  return fmt::format("{} rank{}", ranks, ranks == 1 ? "" : "s");
}

}  // namespace

std::size_t taken_positions(const ModelConfig& model, const JobDemand& demand, std::size_t prefix) {
  const std::size_t kept = budget_rows(demand.policy, prefix, model, demand.kv_dtype);
  return next_position(demand.policy, kept, prefix);
}

std::size_t reading_positions(const ModelConfig& model, const JobDemand& demand,
                              std::size_t prefix) {
  if (!outlives_context(demand.policy)) return prefix;
  const std::size_t kept = budget_rows(demand.policy, prefix, model, demand.kv_dtype);
  const auto longest = std::max_element(demand.probes.begin(), demand.probes.end());
  const bool local = reads_locally(demand.policy, kept, prefix);
  return document_room(demand.policy, kept, prefix).rows +
         (local ? own_kept_rows(demand.policy, kept) : 0) +
         (longest == demand.probes.end() ? 0 : *longest);
}

JobShape shape_of(const ModelConfig& model, const JobDemand& demand, std::size_t prefix,
                  std::size_t parallel) {
  JobShape shape{.prefix_rows = prefix,
                 .questions = {},
                 .parallel = parallel,
                 .chunk = demand.chunk,
                 .in_flight = demand.in_flight,
                 .row_path = demand.row_path,
                 .kv_dtype = demand.kv_dtype,
                 .policy = demand.policy,
                 .probes = demand.probes};
  const std::size_t taken = taken_positions(model, demand, prefix);
  for (const QuestionShape& q : demand.questions) {
    const std::size_t answer = answer_limit(taken, q.tokens, q.max_tokens, model.context);
    shape.questions.push_back({q.tokens, answer - 1});
  }
  return shape;
}

PriceTable price_bytes(const ModelConfig& model, const WeightBytes& weights,
                       const JobShape& shape) {
  const CachePlan caches(model, shape);
  return PriceTable(model.layers, [&](LayerRange range) {
    return StagePrice{0, footprint(model, weights, range, shape, caches).total()};
  });
}

std::vector<LayerRange> Fit::roomiest(const PriceTable& prices, std::size_t ranks) const {
  if (options_.cut && ranks == options_.ranks) return *options_.cut;
  return leanest_cut(prices, ranks);
}

bool Fit::fits(std::size_t ranks, std::size_t prefix, std::size_t parallel) const {
  const PriceTable prices =
      price_bytes(model_, weights_, shape_of(model_, demand_, prefix, parallel));
  return largest_bytes(prices, roomiest(prices, ranks)) <= *options_.memory_limit;
}

bool Fit::within_context(std::size_t prefix, std::size_t after) const {
  return reading_positions(model_, demand_, prefix) <= model_.context &&
         taken_positions(model_, demand_, prefix) + after <= model_.context;
}

std::optional<std::size_t> Fit::longest_prefix() const {
  std::size_t need = 0;
  for (const QuestionShape& q : demand_.questions) {
    need = std::max(need, question_rows(q.tokens, q.max_tokens));
  }
  if (need > model_.context) return std::nullopt;
  if (demand_.policy.positions == Positions::kOriginal) return model_.context - need;
  std::size_t most = 0;  // within
  std::size_t too_many = kMostDocument + 1;
  while (too_many - most > 1) {
    const std::size_t middle = most + (too_many - most) / 2;
    (within_context(middle, need) ? most : too_many) = middle;
  }
  return most;
}

std::optional<std::size_t> Fit::largest_document(std::size_t parallel) const {
  const std::optional<std::size_t> longest = longest_prefix();
  if (!longest || *longest < before_document()) return std::nullopt;
  if (!fits(options_.ranks, before_document(), parallel)) return std::nullopt;
  std::size_t most = 0;  // fits
  std::size_t too_many = *longest - before_document() + 1;
  while (too_many - most > 1) {
    const std::size_t middle = most + (too_many - most) / 2;
    (fits(options_.ranks, before_document() + middle, parallel) ? most : too_many) = middle;
  }
  return most;
}

std::string Fit::bound_of(std::size_t document, std::size_t parallel) const {
  const std::size_t next = before_document() + document + 1;
  if (next > longest_prefix().value_or(0)) {
    return next > kMostDocument ? "longer ones are not planned for"
                                : "the model's context ends there";
  }
  const PriceTable prices =
      price_bytes(model_, weights_, shape_of(model_, demand_, next, parallel));
  return fmt::format("rank {} is full first", fullest(prices, roomiest(prices, options_.ranks)));
}

std::optional<std::size_t> Fit::fewest_ranks(std::size_t parallel) const {
  const PriceTable prices =
      price_bytes(model_, weights_, shape_of(model_, demand_, demand_.prefix_tokens, parallel));
  for (std::size_t ranks = options_.ranks + 1; ranks <= model_.layers; ++ranks) {
    if (largest_bytes(prices, leanest_cut(prices, ranks)) <= *options_.memory_limit) return ranks;
  }
  return std::nullopt;
}

std::optional<std::size_t> Fit::fewer_parallel(std::size_t parallel) const {
  for (std::size_t fewer = parallel; fewer-- > 1;) {
    if (fits(options_.ranks, demand_.prefix_tokens, fewer)) return fewer;
  }
  return std::nullopt;
}

std::string Fit::shortfall(std::size_t parallel) const {
  const JobShape shape = shape_of(model_, demand_, demand_.prefix_tokens, parallel);
  const PriceTable prices = price_bytes(model_, weights_, shape);
  const std::vector<LayerRange> cut = roomiest(prices, options_.ranks);
  const std::size_t rank = fullest(prices, cut);
  const Footprint need = footprint(model_, weights_, cut[rank], shape);
  std::string text = fmt::format(
      "the job does not fit {}: rank {} (layers {}:{}) needs {} (weights {}, KV {}, workspace {}, "
      "buffers {}) and has {} ({})",
      ranks_text(options_.ranks), rank, cut[rank].begin, cut[rank].end, shown(need.total()),
      shown(need.weights), shown(need.kv), shown(need.workspace), shown(need.channel),
      shown(*options_.memory_limit), options_.limit_source);
  if (demand_.document_tokens > 0) {
    const std::optional<std::size_t> largest = largest_document(parallel);
    text += largest ? fmt::format(
                          "\n  the largest document that fits {} has {} tokens; this one has {}",
                          ranks_text(options_.ranks), *largest, demand_.document_tokens)
                    : fmt::format("\n  no document fits {}", ranks_text(options_.ranks));
  }
  const std::optional<std::size_t> ranks = fewest_ranks(parallel);
  text += ranks ? fmt::format("\n  the job as it is fits {}", ranks_text(*ranks))
                : fmt::format("\n  more ranks do not help: even {}, one layer each, are too few",
                              model_.layers);
  if (const std::optional<std::size_t> fewer = fewer_parallel(parallel)) {
    text += fmt::format("\n  it fits with decode.parallel {} instead of {}", *fewer, parallel);
  }
  return text;
}

}  // namespace varve
