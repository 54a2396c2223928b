// The plan of a job: which rank runs which layers, and what that costs, before any weight is read.
// Bytes are common/plan's, which the workers allocate by; seconds are a model (cost_model.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "common/plan/footprint.h"
#include "coordinator/plan/cost_model.h"

namespace varve {

struct QuestionShape {
  std::string id;
  std::size_t tokens = 0;      // after the prefix, at least 1
  std::size_t max_tokens = 0;  // of the answer, at least 1
};

/// A job as the planner sees it: counts of tokens.
struct JobDemand {
  std::size_t prefix_tokens = 0;    // the document and what stands before it
  std::size_t document_tokens = 0;  // of them, the document's own
  std::vector<QuestionShape> questions;
  std::size_t chunk = 512;
  std::size_t in_flight = 2;
  RowPath row_path = RowPath::kHost;
  std::optional<std::size_t> parallel;  // nothing: as many questions at a time as fit, at most 64
  DType kv_dtype = DType::kF16;
  PolicyConfig policy{};                // of the cache, without contradictions of its own
  std::vector<std::uint32_t> probes{};  // JobShape's
};

struct PlanOptions {
  std::size_t ranks = 1;
  std::optional<std::vector<LayerRange>> cut{};  // nothing: the planner's
  std::optional<std::size_t> memory_limit{};     // bytes per rank
  std::string limit_source{};                    // "cluster.memory": where the limit comes from
  MachineRates rates{};
};

struct RankPlan {
  LayerRange layers;
  Footprint bytes;
  std::size_t kv_after = 0;  // while questions are answered; bytes.kv is the peak
  double work = 0;           // its seconds of work, as a share of the busiest rank's
};

/// What the policy keeps of the document, in the three ways to say it.
struct KeptShare {
  std::size_t rows = 0;   // per key head and layer, on average
  double percent = 0;     // of the document
  std::size_t bytes = 0;  // in all layers
};

struct Plan {
  std::string model;
  std::string model_path;  // as the job names it; left empty by make_plan
  std::size_t layers = 0;
  std::size_t kv_heads = 0;
  std::size_t head_dim = 0;
  JobShape shape;  // what the workers allocate for
  std::vector<RankPlan> ranks;
  std::size_t chunks = 0;     // that the prefix is read in
  std::size_t row_bytes = 0;  // of the cache, per row and layer
  KeptShare kept;
  bool kv_is_exact = true;           // or KV is at most that, depending on texts and answers
  std::size_t plain_slots = 0;       // CachePlan's
  std::size_t boundary_chunk = 0;    // bytes over a stage boundary with one chunk
  std::size_t boundary_job = 0;      // and in the whole job, at most
  double fill = 1;                   // C / (C + P - 1): busy share of a prefill of equal turns
  std::optional<std::size_t> limit;  // bytes per rank
  std::string limit_source;
  std::optional<std::size_t> largest_document;  // tokens that would fit; with a limit
  std::string document_bound;                   // why not one more
  std::vector<std::string> notes;  // what the user may not expect: a shortened answer, ...

  std::vector<LayerRange> stages() const;
};

/// ConfigError for what no machine could run: a prefix or a question longer than the context, a
/// question without tokens, a cut that does not match the model, a policy that does not suit the
/// model or the document. PlanError for what does not fit
/// these ranks, with the numbers and what would fit: more ranks than layers, too little memory.
Plan make_plan(const ModelConfig& model, const WeightBytes& weights, const JobDemand& demand,
               const PlanOptions& options);

/// A table of the ranks and a few lines under it, for people.
std::string print_plan(const Plan& plan);

/// The same numbers as one JSON object.
std::string to_json(const Plan& plan);

}  // namespace varve
