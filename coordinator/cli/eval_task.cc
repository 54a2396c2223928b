#include "coordinator/cli/eval_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "common/config/validate.h"
#include "common/error.h"
#include "common/io/regular_file.h"
#include "common/io/sha256.h"
#include "common/text/load_tokenizer.h"
#include "common/units.h"
#include "coordinator/cli/prepared_job.h"
#include "coordinator/cli/run_record.h"
#include "coordinator/eval/evaluator.h"
#include "coordinator/eval/plot.h"
#include "coordinator/eval/report.h"
#include "coordinator/jobs/atomic_file.h"
#include "coordinator/jobs/output_dir.h"
#include "coordinator/jobs/receipts.h"
#include "coordinator/schedule/compaction_times.h"
#include "kernels/backend.h"

namespace varve {
namespace {

constexpr std::size_t kMostText = std::size_t{1} << 30;
constexpr auto kSayEvery = std::chrono::seconds(5);

struct EvalFiles {
  EvalConfig config;
  ClusterConfig cluster;
};

EvalFiles read_files(const CommandLine& line, Problems& problems) {
  const Overrides overrides = split_overrides(line.overrides);
  EvalConfig config =
      read_eval(line.job, {.overrides = overrides.job}, eval_task_specs(), problems);
  return {std::move(config), read_cluster_of(line, problems)};
}

EvalMatrix matrix_of(const EvalConfig& config) {
  EvalMatrix matrix{.tasks = {},
                    .lengths = config.lengths,
                    .policies = config.policies,
                    .samples = config.samples};
  for (const EvalTaskConfig& task : config.tasks) matrix.tasks.push_back({task.name, task.values});
  return matrix;
}

/// What samples are made of. Parts refer to each other.
struct Material {
  explicit Material(const EvalConfig& config)
      : model(load_model_header(config.model)),
        tokenizer(load_tokenizer(model.files)),
        chat(PromptTemplate::named(to_string(config.chat.chat_template), tokenizer)),
        text(read_text_file(config.text, kMostText), config.text.string(),
             [this](std::string_view t) {
               return tokenizer.encode(t, {.add_bos = {}, .continues = true}).size();
             }),
        builder(tokenizer, chat, config.chat.system, text, config.seed) {}
  Material(const Material&) = delete;
  Material& operator=(const Material&) = delete;

  Model model;
  Tokenizer tokenizer;
  PromptTemplate chat;
  SourceText text;
  SampleBuilder builder;
};

EvalBasis basis_of(const EvalConfig& config, const Material& material) {
  return {.model_sha256 = content_hash(config.model),
          .text_sha256 = sha256_hex(config.text),
          .chat_template = std::string(material.chat.name()),
          .system = config.chat.system,
          .kv_dtype = std::string(dtype_info(config.kv_dtype).name),
          .seed = config.seed};
}

// Under which the pipeline is planned: the whole document, if a policy forks it.
PolicyConfig largest_policy(std::span<const PolicyConfig> policies) {
  const bool shares = std::any_of(policies.begin(), policies.end(),
                                  [](const auto& p) { return compaction_times(p).period == 0; });
  return shares ? PolicyConfig{} : policies.front();
}

// The longest document, with as many questions as there are at a time.
JobDemand demand_of(const EvalConfig& config, const ClusterConfig& cluster,
                    const ModelConfig& model, std::span<const EvalShape> shapes,
                    const EvalMemory& memory) {
  JobDemand demand{.prefix_tokens = 0,
                   .document_tokens = 0,
                   .questions = {},
                   .chunk = config.chunk,
                   .in_flight = cluster.in_flight,
                   .parallel = 1,
                   .kv_dtype = config.kv_dtype,
                   .policy = largest_policy(config.policies),
                   .probes = memory.probe_rows()};
  const EvalShape* widest = &shapes.front();
  for (const EvalShape& shape : shapes) {
    demand.prefix_tokens = std::max(demand.prefix_tokens, shape.document);
    if (shape.questions.size() > widest->questions.size()) widest = &shape;
  }
  // The longest document and the longest question may be of different samples.
  if (!outlives_context(demand.policy)) {
    std::size_t own = 0;
    for (const OwnRows& q : widest->questions) own = std::max(own, q.total() + 1);
    const std::size_t left = model.context - std::min<std::size_t>(own, model.context);
    demand.prefix_tokens = std::min(demand.prefix_tokens, left);
  }
  demand.document_tokens = demand.prefix_tokens;
  const std::size_t branches = std::min<std::size_t>(config.parallel, config.policies.size());
  for (std::size_t i = 0; i < branches; ++i) {
    for (const OwnRows& q : widest->questions) {
      demand.questions.push_back({config.name, q.prompt, q.answer + 1});
    }
  }
  demand.parallel = demand.questions.size();
  return demand;
}

class EvalTask final : public Task {
 public:
  EvalTask(EvalConfig config, ClusterConfig cluster)
      : config_(std::move(config)), cluster_(std::move(cluster)), matrix_(matrix_of(config_)) {}

  const ClusterConfig& cluster() const override { return cluster_; }

  Orders prepare(const TaskRun& run) override {
    material_.emplace(config_);
    const ModelConfig& model = material_->model.config();
    check_matrix(matrix_, model, config_.kv_dtype, run.site.ranks);
    const OutputPaths paths = prepare_output_dir(config_.output_dir, true);
    run.keep_verdict(paths.verdict);
    basis_ = basis_of(config_, *material_);
    log_.emplace(config_.output_dir / "samples.jsonl");
    evaluator_.emplace(EvalSetting{.matrix = matrix_,
                                   .basis = basis_,
                                   .model = model,
                                   .kv_dtype = config_.kv_dtype,
                                   .chunk = config_.chunk,
                                   .tokenizer = material_->tokenizer,
                                   .builder = material_->builder},
                       *log_, [this](const SampleResult& r, std::size_t done, std::size_t total) {
                         say_progress(r, done, total);
                       });
    before_ = evaluator_->done();
    stages_ = run.site.ranks;
    std::fprintf(stderr, "varve: %s: %zu of %zu samples are there already\n", config_.name.c_str(),
                 before_, evaluator_->total());
    const std::vector<EvalShape> shapes = evaluator_->check_samples();
    check_positions(matrix_, shapes, model, config_.kv_dtype);
    return orders(run, shapes);
  }

  StepSource& begin() override {
    started_ = utc_now();
    begin_ = said_ = std::chrono::steady_clock::now();
    return source_.emplace(EvalRun{.policies = evaluator_->policies().policies,
                                   .chunk = config_.chunk,
                                   .parallel = config_.parallel,
                                   .stages = static_cast<std::uint32_t>(stages_),
                                   .stop_tokens = material_->tokenizer.stops()},
                           *evaluator_,
                           [] { return std::chrono::steady_clock::now().time_since_epoch(); });
  }

  void finish(const std::vector<RankReport>& ranks) override {
    EvalReport report{.name = config_.name,
                      .version = VARVE_VERSION,
                      .started = started_,
                      .model = material_->model.config().name,
                      .backend = ranks.at(0).backend,
                      .config_json = to_json(config_, eval_task_specs()),
                      .samples = matrix_.samples,
                      .measured = {},
                      .receipts = receipts_of(ranks),
                      .cells = cell_reports(matrix_, basis_, *log_)};
    for (const RankReport& r : ranks) {
      report.measured.push_back({r.rank, planned_.at(r.rank), r.bytes.kv});
    }
    const std::string table = report_table(report);
    write_file_atomically(config_.output_dir / "table.md", table);
    write_file_atomically(config_.output_dir / "table.csv", report_csv(report));
    write_file_atomically(config_.output_dir / "eval.json", report_json(report));
    write_file_atomically(config_.output_dir / "plot.svg", quality_plot(report));
    std::printf("%s\nresults: %s\n", table.c_str(), config_.output_dir.c_str());
    std::fflush(stdout);
  }

 private:
  Orders orders(const TaskRun& run, std::span<const EvalShape> shapes) {
    const ModelConfig& model = material_->model.config();
    const EvalMemory memory(model, {.policies = matrix_.policies,
                                    .shapes = shapes,
                                    .chunk = config_.chunk,
                                    .parallel = config_.parallel,
                                    .kv_dtype = config_.kv_dtype});
    const WeightBytes weights =
        weight_bytes(material_->model, weight_form(run.site.devices.backend));
    JobDemand demand = demand_of(config_, cluster_, model, shapes, memory);
    demand.row_path = run.site.devices.path;
    const Plan plan =
        make_plan(model, weights, demand, plan_options_of(cluster_, model.layers, run.site));
    for (const RankPlan& rank : plan.ranks) planned_.push_back(memory.most(rank.layers));
    check_memory(plan);
    Orders orders = make_orders(cluster_, config_.model, plan, run.site.devices);
    orders.policies = evaluator_->policies().policies;
    orders.plain_slots = memory.plain_slots();
    return orders;
  }

  void check_memory(const Plan& plan) const {
    if (!plan.limit) return;
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const Footprint& bytes = plan.ranks[r].bytes;
      const std::size_t needed = bytes.total() - bytes.kv + planned_[r];
      if (needed <= *plan.limit) continue;
      throw PlanError(fmt::format(
          "rank {} needs {}: {} of it are rows of a document and of {} policies at a time "
          "(decode.parallel), and it may use {} ({}); take fewer at a time, more ranks or shorter "
          "lengths",
          r, to_string(Bytes{needed}), to_string(Bytes{planned_[r]}), config_.parallel,
          to_string(Bytes{*plan.limit}), plan.limit_source));
    }
  }

  void say_progress(const SampleResult& r, std::size_t done, std::size_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (done < total && now - said_ < kSayEvery) return;
    said_ = now;
    const double taken = std::chrono::duration<double>(now - begin_).count();
    const double left =
        taken / static_cast<double>(done - before_) * static_cast<double>(total - done);
    const std::string text =
        fmt::format("varve: {}/{} samples, last {} at {} under {} {}; {} left\n", done, total,
                    r.task, length_text(r.length), r.policy, r.budget,
                    to_string(std::chrono::duration_cast<Duration>(
                        std::chrono::seconds(static_cast<std::int64_t>(left)))));
    std::fputs(text.c_str(), stderr);
  }

  EvalConfig config_;
  ClusterConfig cluster_;
  EvalMatrix matrix_;
  std::optional<Material> material_;
  EvalBasis basis_;
  std::optional<SampleLog> log_;
  std::optional<Evaluator> evaluator_;
  std::optional<EvalSource> source_;
  std::vector<std::size_t> planned_;  // bytes of the caches, by rank
  std::size_t stages_ = 1;
  std::size_t before_ = 0;  // samples that were there already
  std::string started_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point said_;
};

}  // namespace

std::unique_ptr<Task> make_eval_task(const CommandLine& line) {
  if (is_job_file(line.job)) {
    throw ConfigError(
        fmt::format("{}: has no tasks, but what a job has: varve run {}; configs/eval has examples "
                    "of evaluations",
                    line.job.string(), line.job.string()));
  }
  Problems problems;
  EvalFiles files = read_files(line, problems);
  problems.throw_if_any();
  return std::make_unique<EvalTask>(std::move(files.config), std::move(files.cluster));
}

std::vector<std::string> eval_problems(const CommandLine& line) {
  Problems problems;
  const EvalFiles files = read_files(line, problems);
  std::vector<std::string> list = problems.lines();
  if (!list.empty()) return list;
  std::optional<Model> model;
  try {
    model.emplace(load_model_header(files.config.model));
    check_matrix(matrix_of(files.config), model->config(), files.config.kv_dtype,
                 files.cluster.ranks.value_or(1));
  } catch (const Error& error) {
    // What is wrong with a model is said once it is read whole.
    if (model) list.push_back(fmt::format("{}: {}", line.job.string(), error.what()));
  }
  return list;
}

int eval_command(const CommandLine& line) {
  return run_task([&line] { return make_eval_task(line); });
}

}  // namespace varve
