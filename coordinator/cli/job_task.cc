#include "coordinator/cli/job_task.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <span>

#include "common/io/sha256.h"
#include "common/model/model_files.h"
#include "common/plan/layer_cut.h"
#include "coordinator/cli/conductor.h"
#include "coordinator/cli/run_record.h"

namespace varve {
namespace {

void add(const std::vector<TokenId>& tokens, std::string& all) {
  all += fmt::format("\n{} ", tokens.size());
  const auto bytes = std::as_bytes(std::span(tokens));
  all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Everything that the rows of a document depend on, and how they are spread over ranks.
std::string fingerprint_of(const PreparedJob& job, const Plan& plan) {
  const std::vector<LayerRange> stages = plan.stages();
  std::string all =
      fmt::format("{} {} {} {:016x} {}", VARVE_VERSION, content_hash(job.job.model),
                  dtype_info(job.job.kv_dtype).name, hash_of(job.job.policy), to_string(stages));
  add(job.prefix, all);
  for (const std::vector<TokenId>& probe : job.probes) add(probe, all);
  return sha256_hex(std::as_bytes(std::span(all)));
}

AuditOrders audit_of(const PreparedJob& prepared) {
  const PolicyConfig& policy = prepared.job.policy;
  const bool local = policy.scorer.name == "guided" && policy.scorer.choice("encode") == "local";
  const bool own_maps =
      local || policy.compaction.name == "after_question" || policy.decode.name == "one_pool";
  return audit_orders(prepared.model.config(), prepared.prefix.size(), prepared.questions.size(),
                      own_maps);
}

class JobTask final : public Task {
 public:
  explicit JobTask(JobFiles files) : files_(std::move(files)) {}

  const ClusterConfig& cluster() const override { return files_.cluster; }

  Orders prepare(const TaskRun& run) override {
    prepared_.emplace(prepare_job(files_));
    plan_ = plan_job(*prepared_, run.site);
    paths_ = prepare_output_dir(prepared_->job.output_dir, prepared_->job.overwrite);
    run.keep_verdict(paths_.verdict);
    record_.emplace(*prepared_, plan_, paths_);
    if (prepared_->job.checkpoint > 0) find_checkpoint();
    status_ = run.status;
    std::fputs(print_plan(plan_).c_str(), stderr);
    Orders orders = make_orders(prepared_->cluster, prepared_->job.model, plan_, run.site.devices);
    if (prepared_->job.audit) orders.audit = audit_ = audit_of(*prepared_);
    return orders;
  }

  StepSource& begin() override {
    record_->loaded();
    conductor_.emplace(*prepared_, paths_, [this] { return busy_shares(status_()); });
    BatchJob batch = batch_job(*prepared_, plan_);
    if (earlier_) batch.saved_rows = static_cast<std::uint32_t>(earlier_->rows);
    if (checkpoint_) conductor_->keep_checkpoints(*checkpoint_, std::move(earlier_));
    return batcher_.emplace(std::move(batch), *conductor_);
  }

  void finish(const std::vector<RankReport>& reports) override {
    conductor_->end_progress();
    if (audit_) record_->write_audit(*prepared_, *conductor_, audit_, reports);
    record_->finish(*conductor_, reports);
    if (checkpoint_) checkpoint_->remove();
  }

 private:
  void find_checkpoint() {
    checkpoint_.emplace(paths_.checkpoint, fingerprint_of(*prepared_, plan_));
    std::string reason;
    earlier_ = checkpoint_->read(reason);
    const std::string path = paths_.checkpoint.string();
    const std::string text = earlier_ ? fmt::format("varve: goes on from row {} of {}, by {}\n",
                                                    earlier_->rows, prepared_->prefix.size(), path)
                                      : fmt::format("varve: {} is not used: {}\n", path, reason);
    if (earlier_ || !reason.empty()) std::fputs(text.c_str(), stderr);
  }

  JobFiles files_;
  std::optional<PreparedJob> prepared_;
  Plan plan_;
  AuditOrders audit_;
  OutputPaths paths_;
  std::function<std::vector<RankStatus>()> status_;
  std::optional<RunRecord> record_;
  std::optional<CheckpointFile> checkpoint_;
  std::optional<Checkpoint> earlier_;
  std::optional<Conductor> conductor_;
  std::optional<Batcher> batcher_;
};

}  // namespace

std::unique_ptr<Task> make_job_task(const CommandLine& line) {
  return std::make_unique<JobTask>(read_job_files(line));
}

}  // namespace varve
