#include "coordinator/cli/prepared_job.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/config/eval_config.h"
#include "common/config/validate.h"
#include "common/error.h"
#include "common/machine_memory.h"
#include "common/text/chat_template.h"
#include "common/text/end_sentence.h"
#include "common/text/load_tokenizer.h"
#include "kernels/backend.h"

namespace varve {
namespace {

// Of a GPU's memory: the rest is the driver's, the libraries' and what kernels work in.
constexpr double kDeviceShare = 0.9;

void set_limit(const ClusterConfig& cluster, const Site& site, PlanOptions& options) {
  const std::size_t local_ranks = site.local_ranks;
  if (cluster.memory) {
    options.memory_limit = cluster.memory->count;
    options.limit_source = "cluster.memory";
  } else if (site.devices.memory) {
    const double usable = kDeviceShare * static_cast<double>(*site.devices.memory);
    options.memory_limit = static_cast<std::size_t>(usable);
    options.limit_source = "nine tenths of what the rank with the least has of its GPU";
  } else if (const std::size_t memory = machine_memory(); memory > 0) {
    options.memory_limit = memory / local_ranks;
    options.limit_source =
        local_ranks == 1 ? "this machine's memory"
                         : fmt::format("this machine's memory, shared by {} ranks", local_ranks);
  }
}

std::vector<std::uint32_t> rows_of(const std::vector<std::vector<TokenId>>& texts) {
  std::vector<std::uint32_t> rows;
  for (const auto& text : texts) rows.push_back(static_cast<std::uint32_t>(text.size()));
  return rows;
}

void tokenize(PreparedJob& prepared) {
  const JobConfig& job = prepared.job;
  const Tokenizer& tokenizer = prepared.tokenizer;
  const PromptTemplate chat = PromptTemplate::named(to_string(job.chat.chat_template), tokenizer);
  const auto render = [&](std::string_view document, std::string_view question) {
    return render_document_prompt(chat, job.chat.system, document, question);
  };
  if (drops_document_rows(job.policy)) end_sentence(prepared.document.text);
  prepared.prefix = tokenizer.encode(render(prepared.document.text, "").prefix);
  const std::size_t frame = tokenizer.encode(render("", "").prefix).size();
  prepared.document_tokens = prepared.prefix.size() - std::min(frame, prepared.prefix.size());
  const EncodeOptions after{.add_bos = {}, .continues = true};
  for (const Question& question : job.questions) {
    prepared.questions.push_back(tokenizer.encode(render("", question.text).suffix, after));
  }
  if (job.policy.scorer.name != "guided") return;
  for (const Question& question : job.questions) {
    const std::string& probe = question.probe.empty() ? question.text : question.probe;
    prepared.probes.push_back(tokenizer.encode("\n\n" + probe, after));
  }
}

}  // namespace

ClusterConfig read_cluster_of(const CommandLine& line, Problems& problems) {
  const ReadOptions options{.overrides = split_overrides(line.overrides).cluster};
  if (line.cluster) return read_cluster(*line.cluster, options, problems);
  return read_cluster_text("cluster defaults", "{}", options, problems);
}

JobFiles read_job_files(const CommandLine& line) {
  if (is_eval_file(line.job)) {
    throw ConfigError(
        fmt::format("{}: has tasks, so it is an evaluation and not a job: varve eval {}",
                    line.job.string(), line.job.string()));
  }
  Problems problems;
  JobConfig job = read_job(line.job, {.overrides = split_overrides(line.overrides).job}, problems);
  ClusterConfig cluster = read_cluster_of(line, problems);
  problems.throw_if_any();
  return {std::move(job), std::move(cluster)};
}

PreparedJob prepare_job(JobFiles files) {
  Document document = load_document(files.job);
  Model model = load_model_header(files.job.model);
  Tokenizer tokenizer = load_tokenizer(model.files);
  PreparedJob prepared{.job = std::move(files.job),
                       .cluster = std::move(files.cluster),
                       .document = std::move(document),
                       .model = std::move(model),
                       .tokenizer = std::move(tokenizer),
                       .prefix = {},
                       .document_tokens = 0,
                       .questions = {},
                       .probes = {}};
  tokenize(prepared);
  return prepared;
}

PlanOptions plan_options_of(const ClusterConfig& cluster, std::size_t layers, const Site& site) {
  PlanOptions options{.ranks = site.ranks};
  if (!cluster.layers.empty()) {
    Problems problems;
    check_layers(cluster, layers, site.ranks, problems);
    problems.throw_if_any();
    options.cut = cluster.layers;
  }
  set_limit(cluster, site, options);
  return options;
}

Plan plan_job(const PreparedJob& prepared, const Site& site) {
  const JobConfig& job = prepared.job;
  const ClusterConfig& cluster = prepared.cluster;
  JobDemand demand{.prefix_tokens = prepared.prefix.size(),
                   .document_tokens = prepared.document_tokens,
                   .questions = {},
                   .chunk = job.chunk,
                   .in_flight = cluster.in_flight,
                   .row_path = site.devices.path,
                   .parallel = job.parallel,
                   .kv_dtype = job.kv_dtype,
                   .policy = job.policy,
                   .probes = rows_of(prepared.probes)};
  for (std::size_t i = 0; i < job.questions.size(); ++i) {
    demand.questions.push_back(
        {job.questions[i].id, prepared.questions[i].size(), job.questions[i].max_tokens});
  }
  const WeightBytes weights = weight_bytes(prepared.model, weight_form(site.devices.backend));
  const PlanOptions options = plan_options_of(cluster, prepared.model.config().layers, site);
  Plan plan = make_plan(prepared.model.config(), weights, demand, options);
  plan.model_path = job.model.string();
  return plan;
}

Orders make_orders(const ClusterConfig& cluster, const std::filesystem::path& model,
                   const Plan& plan, const DeviceChoice& devices) {
  return {.model = model.string(),
          .backend = devices.backend,
          .threads = cluster.threads.value_or(0),
          .pin_threads = cluster.pin_threads,
          .devices = devices.devices,
          .row_path = devices.path,
          .device_graphs = cluster.device_graphs,
          .stages = plan.stages(),
          .rows = plan.shape.step_rows(),
          .samples = std::min(plan.shape.chunk, plan.shape.parallel),
          .in_flight = plan.shape.in_flight,
          .kv_dtype = plan.shape.kv_dtype,
          .policies = {plan.shape.policy},
          .plain_slots = plan.plain_slots,
          .probe_rows = plan.shape.probes,
          .step_deadline_ms = static_cast<std::uint64_t>(cluster.deadlines.step.count())};
}

}  // namespace varve
