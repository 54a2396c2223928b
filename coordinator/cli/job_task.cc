#include "coordinator/cli/job_task.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "coordinator/cli/conductor.h"
#include "coordinator/cli/run_record.h"

namespace varve {
namespace {

class JobTask final : public Task {
 public:
  explicit JobTask(JobFiles files) : files_(std::move(files)) {}

  const ClusterConfig& cluster() const override { return files_.cluster; }

  Orders prepare(const TaskRun& run) override {
    prepared_.emplace(prepare_job(files_));
    plan_ = plan_job(*prepared_, run.ranks, run.local_ranks);
    paths_ = prepare_output_dir(prepared_->job.output_dir, prepared_->job.overwrite);
    run.keep_verdict(paths_.verdict);
    record_.emplace(*prepared_, plan_, paths_);
    status_ = run.status;
    std::fputs(print_plan(plan_).c_str(), stderr);
    return make_orders(prepared_->cluster, prepared_->job.model, plan_);
  }

  StepSource& begin() override {
    record_->loaded();
    conductor_.emplace(*prepared_, paths_, [this] { return busy_shares(status_()); });
    return batcher_.emplace(batch_job(*prepared_, plan_), *conductor_);
  }

  void finish(const std::vector<RankReport>& reports) override {
    conductor_->end_progress();
    record_->finish(*conductor_, reports);
  }

 private:
  JobFiles files_;
  std::optional<PreparedJob> prepared_;
  Plan plan_;
  OutputPaths paths_;
  std::function<std::vector<RankStatus>()> status_;
  std::optional<RunRecord> record_;
  std::optional<Conductor> conductor_;
  std::optional<Batcher> batcher_;
};

}  // namespace

std::unique_ptr<Task> make_job_task(const CommandLine& line) {
  return std::make_unique<JobTask>(read_job_files(line));
}

}  // namespace varve
