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
#include "common/plan/cache_plan.h"
#include "common/text/load_tokenizer.h"
#include "common/units.h"
#include "coordinator/cli/prepared_job.h"
#include "coordinator/cli/run_record.h"
#include "coordinator/eval/evaluator.h"
#include "coordinator/eval/held_bytes.h"
#include "coordinator/eval/plot.h"
#include "coordinator/eval/report.h"
#include "coordinator/jobs/atomic_file.h"
#include "coordinator/jobs/output_dir.h"
#include "coordinator/schedule/compaction_times.h"

namespace varve {
namespace {

constexpr std::size_t kMostText = std::size_t{1} << 30;
constexpr auto kSayEvery = std::chrono::seconds(5);

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

/// The most that there is at a time, by the first samples.
struct Largest {
  std::size_t document = 0;
  std::vector<OwnRows> questions;  // of the sample whose questions take the most rows
  std::size_t most_questions = 0;
};

std::size_t rows_in(const std::vector<OwnRows>& questions) {
  std::size_t rows = 0;
  for (const OwnRows& q : questions) rows += q.total();
  return rows;
}

Largest largest_of(const std::vector<BuiltSample>& samples) {
  Largest largest;
  for (const BuiltSample& sample : samples) {
    largest.document = std::max(largest.document, sample.document.size());
    largest.most_questions = std::max(largest.most_questions, sample.questions.size());
    std::vector<OwnRows> questions = own_rows(sample.questions);
    if (rows_in(questions) > rows_in(largest.questions)) largest.questions = std::move(questions);
  }
  return largest;
}

class EvalTask final : public Task {
 public:
  EvalTask(EvalConfig config, ClusterConfig cluster)
      : config_(std::move(config)), cluster_(std::move(cluster)), matrix_(matrix_of(config_)) {}

  const ClusterConfig& cluster() const override { return cluster_; }

  Orders prepare(const TaskRun& run) override {
    material_.emplace(config_);
    const ModelConfig& model = material_->model.config();
    check_matrix(matrix_, model, config_.kv_dtype, run.ranks);
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
    stages_ = run.ranks;
    std::fprintf(stderr, "varve: %s: %zu of %zu samples are there already\n", config_.name.c_str(),
                 before_, evaluator_->total());
    return orders(run, largest_of(evaluator_->first_samples()));
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
                      .cells = cell_reports(matrix_, basis_, *log_)};
    for (const RankReport& r : ranks) report.measured.push_back({r.rank, r.bytes.kv});
    const std::string table = report_table(report);
    write_file_atomically(config_.output_dir / "table.md", table);
    write_file_atomically(config_.output_dir / "table.csv", report_csv(report));
    write_file_atomically(config_.output_dir / "eval.json", report_json(report));
    write_file_atomically(config_.output_dir / "plot.svg", quality_plot(report));
    std::printf("%s\nresults: %s\n", table.c_str(), config_.output_dir.c_str());
    std::fflush(stdout);
  }

 private:
  // The whole document, if a policy forks it, and as many branches as are open at a time.
  Orders orders(const TaskRun& run, const Largest& largest) {
    const ModelConfig& model = material_->model.config();
    const std::vector<PolicyConfig>& policies = evaluator_->policies().policies;
    const bool shares = std::any_of(matrix_.policies.begin(), matrix_.policies.end(),
                                    [](auto& p) { return compaction_times(p).period == 0; });
    JobDemand demand{.prefix_tokens = largest.document,
                     .document_tokens = largest.document,
                     .questions = {},
                     .chunk = config_.chunk,
                     .in_flight = cluster_.in_flight,
                     .parallel = config_.parallel * largest.questions.size(),
                     .kv_dtype = config_.kv_dtype,
                     .policy = shares ? PolicyConfig{} : matrix_.policies.front(),
                     .probes = probes_for(largest)};
    for (std::uint32_t i = 0; i < config_.parallel; ++i) {
      for (const OwnRows& q : largest.questions) {
        demand.questions.push_back({config_.name, q.prompt, q.answer + 1});
      }
    }
    const Plan plan =
        make_plan(model, material_->model.bytes, demand,
                  plan_options_of(cluster_, model.layers, run.ranks, run.local_ranks));
    Orders orders = make_orders(cluster_, config_.model, plan);
    orders.policies = policies;
    orders.plain_slots = 0;
    std::vector<std::size_t> most(plan.ranks.size(), 0);  // bytes of a branch, by rank
    for (const PolicyConfig& policy : policies) {
      const CachePlan caches(model, shape_of(policy, largest));
      orders.plain_slots = std::max<std::uint64_t>(orders.plain_slots, caches.plain_slots());
      for (std::size_t r = 0; r < most.size(); ++r) {
        const LayerRange layers = plan.ranks[r].layers;
        const bool alone = compaction_times(policy).period > 0;
        if (!is_full(policy)) {
          most[r] = std::max(most[r], alone ? caches.peak(layers) : caches.answering(layers));
        }
      }
    }
    check_memory(plan, most);
    return orders;
  }

  JobShape shape_of(const PolicyConfig& policy, const Largest& largest) const {
    JobShape shape;
    shape.prefix_rows = largest.document;
    shape.questions = largest.questions;
    shape.parallel = largest.questions.size();
    shape.chunk = config_.chunk;
    shape.kv_dtype = config_.kv_dtype;
    shape.policy = policy;
    if (policy.scorer.name == "guided") shape.probes = probes_for(largest);
    return shape;
  }

  // Other samples' probes may be longer than those of the first ones.
  std::vector<std::uint32_t> probes_for(const Largest& largest) const {
    const std::vector<PolicyConfig>& policies = evaluator_->policies().policies;
    const bool guided = std::any_of(policies.begin(), policies.end(),
                                    [](auto& p) { return p.scorer.name == "guided"; });
    return std::vector<std::uint32_t>(guided ? largest.most_questions : 0, kMostProbe);
  }

  void check_memory(const Plan& plan, const std::vector<std::size_t>& branch) const {
    if (!plan.limit) return;
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const std::size_t needed = plan.ranks[r].bytes.total() + config_.parallel * branch[r];
      if (needed <= *plan.limit) continue;
      throw PlanError(fmt::format(
          "rank {} needs {}: {} with the whole document, and {} for each of {} policies at a time "
          "(decode.parallel), and may use {} ({}); take fewer at a time, more ranks or shorter "
          "lengths",
          r, to_string(Bytes{needed}), to_string(Bytes{plan.ranks[r].bytes.total()}),
          to_string(Bytes{branch[r]}), config_.parallel, to_string(Bytes{*plan.limit}),
          plan.limit_source));
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
  std::size_t stages_ = 1;
  std::size_t before_ = 0;  // samples that were there already
  std::string started_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point said_;
};

}  // namespace

std::unique_ptr<Task> make_eval_task(const CommandLine& line) {
  Problems problems;
  const Overrides overrides = split_overrides(line.overrides);
  EvalConfig config =
      read_eval(line.job, {.overrides = overrides.job}, eval_task_specs(), problems);
  ClusterConfig cluster = read_cluster_of(line, problems);
  problems.throw_if_any();
  return std::make_unique<EvalTask>(std::move(config), std::move(cluster));
}

int eval_command(const CommandLine& line) {
  return run_task([&line] { return make_eval_task(line); });
}

}  // namespace varve
