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
  std::optional<std::size_t> parallel;  // nothing: as many questions at a time as fit, at most 64
  DType kv_dtype = DType::kF16;
};

struct PlanOptions {
  std::size_t ranks = 1;
  std::optional<std::vector<LayerRange>> cut{};  // nothing: the planner's
  std::optional<std::size_t> memory_limit{};     // bytes per rank
  std::string limit_source{};                    // "cluster.memory": where the limit comes from
  std::string policy = "full";                   // of the cache
  std::vector<std::string>
      streaming_policies{};  // that go beyond the trained context; may be empty
  MachineRates rates{};
};

struct RankPlan {
  LayerRange layers;
  Footprint bytes;
  double work = 0;  // its seconds of work, as a share of the busiest rank's
};

struct Plan {
  std::string model;
  std::string model_path;  // as the job names it; left empty by make_plan
  std::size_t layers = 0;
  std::size_t kv_heads = 0;
  std::size_t head_dim = 0;
  JobShape shape;  // what the workers allocate for
  std::vector<RankPlan> ranks;
  std::size_t chunks = 0;            // that the prefix is read in
  std::size_t row_bytes = 0;         // of the cache, per row and layer
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
/// question without tokens, a cut that does not match the model. PlanError for what does not fit
/// these ranks, with the numbers and what would fit: more ranks than layers, too little memory.
Plan make_plan(const ModelConfig& model, const WeightBytes& weights, const JobDemand& demand,
               const PlanOptions& options);

/// A table of the ranks and a few lines under it, for people.
std::string print_plan(const Plan& plan);

/// The same numbers as one JSON object.
std::string to_json(const Plan& plan);

}  // namespace varve
