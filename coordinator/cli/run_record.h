// Gathers what a run was asked, what it planned and what came of it, and writes it down at the end.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/plan/report.h"
#include "coordinator/cli/conductor.h"
#include "coordinator/cli/prepared_job.h"
#include "coordinator/fleet/fleet_watch.h"
#include "coordinator/jobs/output_dir.h"
#include "coordinator/jobs/run_report.h"

namespace varve {

class RunRecord {
 public:
  RunRecord(const PreparedJob& job, const Plan& plan, const OutputPaths& paths);

  /// Every rank has its layers.
  void loaded();
  /// Writes what an audited run has seen into audit.json.
  void write_audit(const PreparedJob& job, const Conductor& conductor, const AuditOrders& orders,
                   const std::vector<RankReport>& ranks);
  /// Writes run.json, then the tables for people on standard output.
  void finish(const Conductor& conductor, const std::vector<RankReport>& ranks);

 private:
  OutputPaths paths_;
  RunReport report_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// "2026-01-31T12:00:00Z"
std::string utc_now();
/// By rank: which part of its time a stage computes.
std::vector<double> busy_shares(const std::vector<RankStatus>& ranks);

}  // namespace varve
