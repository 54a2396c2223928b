#include "coordinator/cli/bench_task.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <optional>

#include "common/cores.h"
#include "coordinator/bench/bench_report.h"
#include "coordinator/bench/bench_source.h"
#include "coordinator/cli/prepared_job.h"
#include "coordinator/cli/run_record.h"
#include "coordinator/jobs/run_report.h"
#include "kernels/backend.h"
#include "kernels/cpu/peaks.h"
#include "worker/comm/tags.h"
#include "worker/model/model.h"

namespace varve {
namespace {

constexpr std::uint64_t kSeed = 1;

std::size_t most_sequences(const std::vector<BenchCase>& cases) {
  std::uint32_t most = 1;
  for (const BenchCase& c : cases) most = std::max(most, c.sequences);
  return most;
}

// The case that holds the most rows, as a job. Depths are read one after the other.
JobDemand demand_of(const BenchOptions& options) {
  const auto rows = [](const BenchCase& c) {
    return std::size_t{c.depth} + std::size_t{c.tokens} * c.sequences;
  };
  const BenchCase& c =
      *std::max_element(options.cases.begin(), options.cases.end(),
                        [&](const auto& a, const auto& b) { return rows(a) < rows(b); });
  // A job's last token of an answer is never fed back; a bench feeds all that it counts.
  const bool prompt = c.kind == BenchCase::Kind::kPrompt;
  const QuestionShape shape{.id = name_of(c),
                            .tokens = prompt ? c.tokens : std::size_t{1},
                            .max_tokens = prompt ? std::size_t{1} : c.tokens};
  return {.prefix_tokens = c.depth,
          .document_tokens = c.depth,
          .questions = std::vector<QuestionShape>(c.sequences, shape),
          .chunk = options.chunk,
          .in_flight = options.cluster.in_flight,
          .parallel = c.sequences,
          .kv_dtype = options.kv_dtype};
}

// Of the threads of all ranks. Other hosts are taken to be like this one, and so are cores that
// this rank may not use but the others may.
Peaks peaks_of(const Site& site, std::size_t threads) {
  const std::size_t wanted = std::min(site.local_ranks * threads, machine_cores());
  const std::size_t measured = std::min(wanted, usable_cores());
  const double hosts = static_cast<double>(site.ranks) / static_cast<double>(site.local_ranks);
  Peaks peaks = measure_peaks(measured);
  peaks.flops_per_second *= hosts * static_cast<double>(wanted) / static_cast<double>(measured);
  peaks.bytes_per_second *= hosts;
  return peaks;
}

std::string backends_of(const std::vector<RankReport>& ranks) {
  std::vector<std::string> names;
  for (const RankReport& r : ranks) {
    if (std::find(names.begin(), names.end(), r.backend) == names.end()) names.push_back(r.backend);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

// Sent from stage to stage, for each row that went through.
double bytes_per_token(const std::vector<RankReport>& ranks) {
  std::uint64_t bytes = 0;
  for (const RankReport& r : ranks) {
    for (const TrafficReport& t : r.traffic) {
      for (const Tag tag : {Tag::kStepHeader, Tag::kActivations, Tag::kCredit, Tag::kTokens}) {
        if (t.purpose == tag_name(tag)) bytes += t.bytes;
      }
    }
  }
  const std::uint64_t rows = ranks.at(0).prefill.rows + ranks.at(0).decode.rows;
  return rows == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(rows);
}

class BenchTask final : public Task {
 public:
  explicit BenchTask(BenchOptions options) : options_(std::move(options)) {}

  const ClusterConfig& cluster() const override { return options_.cluster; }

  Orders prepare(const TaskRun& run) override {
    model_.emplace(load_model_header(options_.model.string()));
    const ModelConfig& config = model_->config();
    check_cases(options_.cases, config.name, config.context, options_.chunk);
    const Site& site = run.site;
    const PlanOptions plan_options = plan_options_of(options_.cluster, config.layers, site);
    weights_ = weight_bytes(*model_, weight_form(site.devices.backend));
    JobDemand demand = demand_of(options_);
    demand.row_path = site.devices.path;
    Plan plan = make_plan(config, weights_, demand, plan_options);
    plan.shape.parallel = most_sequences(options_.cases);
    ranks_ = site.ranks;
    threads_ = options_.cluster.threads.value_or(cores_of_a_rank(site.local_ranks));
    peaks_ = peaks_of(site, threads_);
    started_ = utc_now();
    return make_orders(options_.cluster, options_.model, plan, site.devices);
  }

  StepSource& begin() override {
    BenchRun bench{.cases = options_.cases,
                   .repetitions = options_.repetitions,
                   .warm_up = options_.warm_up,
                   .chunk = options_.chunk,
                   .stages = static_cast<std::uint32_t>(ranks_),
                   .vocab = static_cast<std::uint32_t>(model_->config().vocab),
                   .seed = kSeed};
    return source_.emplace(
        std::move(bench), [] { return std::chrono::steady_clock::now().time_since_epoch(); },
        [ranks = ranks_](const BenchCase& c) {
          std::fprintf(stderr, "varve: %s on %zu %s\n", name_of(c).c_str(), ranks,
                       ranks == 1 ? "rank" : "ranks");
        });
  }

  void finish(const std::vector<RankReport>& ranks) override {
    std::fputs(bench_table(report(ranks), options_.format).c_str(), stdout);
    std::fflush(stdout);
  }

 private:
  BenchReport report(const std::vector<RankReport>& ranks) const {
    const ModelConfig& config = model_->config();
    const WeightBytes bytes = weight_bytes(*model_);
    BenchReport report;
    report.version = VARVE_VERSION;
    report.started = started_;
    report.model_file = options_.model.string();
    report.model = config.name;
    report.model_bytes = std::accumulate(bytes.layer.begin(), bytes.layer.end(),
                                         bytes.embedding + bytes.head + bytes.final_norm);
    report.parameters = parameters(config).total();
    report.backend = backends_of(ranks);
    report.threads = threads_;
    report.ranks = ranks_;
    report.chunk = options_.chunk;
    report.in_flight = options_.cluster.in_flight;
    report.kv_dtype = dtype_info(options_.kv_dtype).name;
    report.peak_flops_per_second = peaks_.flops_per_second;
    report.peak_bytes_per_second = peaks_.bytes_per_second;
    const double busy = busy_share(ranks, &RankReport::prefill);
    if (busy > 0) report.bubble_share = 1 - busy;
    report.bytes_per_token = bytes_per_token(ranks);
    for (std::size_t i = 0; i < options_.cases.size(); ++i) {
      const BenchCase& c = options_.cases[i];
      const std::size_t groups = decode_groups(c, static_cast<std::uint32_t>(ranks_));
      report.results.push_back(
          {c, work_of(c, config, weights_, options_.kv_dtype, groups), source_->seconds()[i]});
    }
    return report;
  }

  BenchOptions options_;
  std::optional<Model> model_;
  WeightBytes weights_;
  std::size_t ranks_ = 1;
  std::size_t threads_ = 1;  // of each rank
  Peaks peaks_;
  std::string started_;
  std::optional<BenchSource> source_;
};

}  // namespace

std::unique_ptr<Task> make_bench_task(BenchOptions options) {
  return std::make_unique<BenchTask>(std::move(options));
}

}  // namespace varve
