#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/config/cluster_config.h"
#include "common/config/job_config.h"

namespace varve {
namespace {

using nlohmann::ordered_json;

/// The double that prints as the float does: 0.95, not 0.949999988079071.
double as_written(float value) {
  return std::strtod(fmt::format("{}", value).c_str(), nullptr);
}

template <class T>
ordered_json or_auto(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json("auto");
}

std::string print(const ordered_json& json) {
  // Paths need not be UTF-8; JSON must be.
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json document_json(const DocumentConfig& document) {
  if (document.text) return {{"text", *document.text}};
  ordered_json files = ordered_json::array();
  for (const auto& file : document.files) files.push_back(file.string());
  ordered_json out = {{"files", files}};
  if (!document.glob.empty()) out["glob"] = document.glob;
  return out;
}

ordered_json component_json(const Component& component) {
  ordered_json params = ordered_json::object();
  const std::span<const ParamSpec> specs = find_component(component.name)->params;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const double value = component.values[i];
    ordered_json& out = params[std::string(specs[i].name)];
    if (!specs[i].choices.empty()) {
      out = component.choice(specs[i].name);
    } else if (specs[i].integer) {
      out = static_cast<std::uint64_t>(value);
    } else {
      out = value;
    }
  }
  return params.empty() ? ordered_json(component.name) : ordered_json{{component.name, params}};
}

// As a job file would say it: every slot, whatever the preset has.
ordered_json policy_json(const PolicyConfig& policy) {
  ordered_json out = {{"preset", policy.preset}};
  for (const Slot slot : slots()) {
    out[std::string(name_of(slot))] = component_json(policy.slot(slot));
  }
  out["keep"] = {{"first", policy.keep_first}, {"last", to_string(policy.keep_last)}};
  out["positions"] = policy.positions == Positions::kCompact ? "compact" : "original";
  return out;
}

ordered_json cache_json(const JobConfig& job) {
  ordered_json out = {{"policy", policy_json(job.policy)}};
  if (job.policy.budget.kind != Budget::Kind::kAll) out["budget"] = to_string(job.policy.budget);
  out["dtype"] = dtype_info(job.kv_dtype).name;
  return out;
}

}  // namespace

std::string to_json(const JobConfig& job) {
  ordered_json questions = ordered_json::array();
  for (const Question& q : job.questions) {
    questions.push_back({{"id", q.id}, {"text", q.text}, {"max_tokens", q.max_tokens}});
    if (!q.probe.empty()) questions.back()["probe"] = q.probe;
  }
  const SamplingConfig& s = job.sampling;
  const ordered_json out = {
      {"name", job.name},
      {"model", {{"path", job.model.string()}}},
      {"document", document_json(job.document)},
      {"questions", questions},
      {"chat", {{"template", to_string(job.chat.chat_template)}, {"system", job.chat.system}}},
      {"sampling",
       {{"temperature", as_written(s.temperature)},
        {"top_k", s.top_k},
        {"top_p", as_written(s.top_p)},
        {"min_p", as_written(s.min_p)},
        {"max_tokens", s.max_tokens},
        {"seed", s.seed},
        {"stop", s.stop}}},
      {"prefill", {{"chunk", job.chunk}, {"checkpoint", job.checkpoint}}},
      {"decode", {{"parallel", or_auto(job.parallel)}}},
      {"cache", cache_json(job)},
      {"output",
       {{"dir", job.output_dir.string()}, {"overwrite", job.overwrite}, {"audit", job.audit}}},
  };
  return print(out);
}

std::string to_json(const ClusterConfig& cluster) {
  ordered_json layers = "auto";
  if (!cluster.layers.empty()) layers = ordered_json::array();
  for (const LayerRange& range : cluster.layers) {
    layers.push_back(fmt::format("{}:{}", range.begin, range.end));
  }
  const ordered_json ranks = cluster.ranks ? ordered_json(*cluster.ranks) : ordered_json();
  const ordered_json memory =
      cluster.memory ? ordered_json(cluster.memory->count) : ordered_json("auto");
  const auto shown = [](std::chrono::milliseconds time) { return to_string(Duration(time)); };
  return print({
      {"backend", to_string(cluster.backend)},
      {"transport", to_string(cluster.transport)},
      {"activations", to_string(cluster.activations)},
      {"share_devices", cluster.share_devices},
      {"device_graphs", cluster.device_graphs},
      {"ranks", ranks},
      {"threads", or_auto(cluster.threads)},
      {"pin_threads", cluster.pin_threads ? ordered_json("auto") : ordered_json(false)},
      {"layers", layers},
      {"memory", memory},
      {"in_flight", cluster.in_flight},
      {"control", {{"port", cluster.control.port}, {"interface", cluster.control.interface}}},
      {"deadlines",
       {{"start", shown(cluster.deadlines.start)},
        {"peer", shown(cluster.deadlines.peer)},
        {"step", shown(cluster.deadlines.step)}}},
  });
}

}  // namespace varve
