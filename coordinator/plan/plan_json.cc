#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "coordinator/plan/planner.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

Json rank_json(const RankPlan& rank) {
  return {{"layers", {rank.layers.begin, rank.layers.end}},
          {"work", rank.work},
          {"weights_bytes", rank.bytes.weights},
          {"kv_bytes", rank.bytes.kv},
          {"kv_after_bytes", rank.kv_after},
          {"workspace_bytes", rank.bytes.workspace},
          {"channel_bytes", rank.bytes.channel},
          {"total_bytes", rank.bytes.total()}};
}

Json shape_json(const JobShape& shape) {
  Json question_rows = Json::array();
  for (const OwnRows& own : shape.questions) question_rows.push_back(own.total());
  return {{"prefix_rows", shape.prefix_rows}, {"question_rows", question_rows},
          {"parallel", shape.parallel},       {"chunk", shape.chunk},
          {"in_flight", shape.in_flight},     {"kv_dtype", dtype_info(shape.kv_dtype).name}};
}

Json policy_json(const Plan& plan) {
  const PolicyConfig& policy = plan.shape.policy;
  return {
      {"preset", policy.preset},
      {"description", describe(policy)},
      {"hash", fmt::format("{:016x}", hash_of(policy))},
      {"budget",
       {{"tokens", plan.kept.rows}, {"percent", plan.kept.percent}, {"bytes", plan.kept.bytes}}},
      {"kv_is_exact", plan.kv_is_exact}};
}

}  // namespace

std::string to_json(const Plan& plan) {
  Json json = {{"model", plan.model},
               {"model_path", plan.model_path},
               {"layers", plan.layers},
               {"job", shape_json(plan.shape)},
               {"policy", policy_json(plan)},
               {"ranks", Json::array()},
               {"chunks", plan.chunks},
               {"row_bytes", plan.row_bytes},
               {"boundary_chunk_bytes", plan.boundary_chunk},
               {"boundary_job_bytes", plan.boundary_job},
               {"fill", plan.fill},
               {"limit_bytes", nullptr},
               {"largest_document_tokens", nullptr},
               {"notes", plan.notes}};
  for (const RankPlan& rank : plan.ranks) json["ranks"].push_back(rank_json(rank));
  if (plan.limit) {
    json["limit_bytes"] = *plan.limit;
    json["limit_source"] = plan.limit_source;
  }
  if (plan.largest_document) {
    json["largest_document_tokens"] = *plan.largest_document;
    json["largest_document_bound"] = plan.document_bound;
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace varve
