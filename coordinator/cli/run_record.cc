#include "coordinator/cli/run_record.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdio>
#include <ctime>

#include "common/error.h"
#include "common/io/sha256.h"
#include "common/model/model_files.h"
#include "common/policy/policy_config.h"
#include "coordinator/inspect/audit_file.h"
#include "coordinator/jobs/atomic_file.h"
#include "coordinator/jobs/receipts.h"

namespace varve {
namespace {

constexpr std::size_t kTableWidth = 100;

}  // namespace

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::vector<double> busy_shares(const std::vector<RankStatus>& ranks) {
  std::vector<double> shares;
  for (const RankStatus& rank : ranks) {
    const StageStatus& s = rank.stage;
    shares.push_back(
        s.elapsed_ns == 0 ? 0 : static_cast<double>(s.busy_ns) / static_cast<double>(s.elapsed_ns));
  }
  return shares;
}

RunRecord::RunRecord(const PreparedJob& job, const Plan& plan, const OutputPaths& paths)
    : paths_(paths) {
  report_.versions = {{"varve", VARVE_VERSION}, {"compiler", __VERSION__}};
  report_.started = utc_now();
  report_.job_json = to_json(job.job);
  report_.cluster_json = to_json(job.cluster);
  report_.plan_json = to_json(plan);
  report_.model = job.job.model.string();
  report_.model_sha256 = content_hash(job.job.model);
  report_.document_sha256 = sha256_hex(std::as_bytes(std::span(job.document.text)));
  report_.seed = job.job.sampling.seed;
  report_.prefix_tokens = job.prefix.size();
  report_.document_tokens = job.document_tokens;
  report_.questions = job.questions.size();
  if (!is_full(job.job.policy)) {
    report_.policy = describe(job.job.policy);
    report_.policy_hash = hash_of(job.job.policy);
  }
  report_.planned_fill = plan.fill;
  for (const RankPlan& rank : plan.ranks) report_.planned.push_back(rank.bytes);
  begin_ = std::chrono::steady_clock::now();
}

void RunRecord::loaded() {
  report_.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void RunRecord::write_audit(const PreparedJob& job, const Conductor& conductor,
                            const AuditOrders& orders, const std::vector<RankReport>& ranks) {
  const AuditInputs inputs{.model = job.model.config(),
                           .tokenizer = job.tokenizer,
                           .prefix = job.prefix,
                           .document_begin = job.prefix.size() - job.document_tokens,
                           .grid = orders,
                           .results = conductor.results()};
  write_file_atomically(paths_.audit, to_json(make_audit_record(inputs, ranks)));
  report_.audit = paths_.audit.filename().string();
}

void RunRecord::finish(const Conductor& conductor, const std::vector<RankReport>& ranks) {
  report_.ranks = ranks;
  const bool idle = !report_.policy.empty() && !acted(receipts_of(ranks));
  if (idle) report_.exit_code = static_cast<std::int32_t>(ExitCode::kReceipt);
  report_.answer_tokens = conductor.answer_tokens();
  report_.prefill_seconds = conductor.prefill_seconds();
  report_.decode_seconds = conductor.decode_seconds();
  report_.resumed_rows = conductor.resumed_rows();
  report_.resumed_seconds = conductor.resumed_seconds();
  write_run_report(paths_.run.string(), report_);
  std::printf("%s\n%s\nresults: %s\n", results_table(conductor.results(), kTableWidth).c_str(),
              report_table(report_).c_str(), paths_.dir.c_str());
  std::fflush(stdout);
  if (!idle) return;
  throw Error(ExitCode::kReceipt,
              fmt::format("cache.policy {} was asked for and dropped or shortened no row; the "
                          "answers stand in {}. A smaller cache.budget, or policy: full, would "
                          "be right for this document",
                          report_.policy, paths_.dir.c_str()));
}

}  // namespace varve
