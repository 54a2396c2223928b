// The record of a run: what was asked, planned and measured. Written as run.json.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/plan/report.h"

namespace varve {

struct RunReport {
  std::vector<std::pair<std::string, std::string>> versions;  // varve, compiler, MPI, ...
  std::string started;                                        // UTC, ISO 8601
  std::int32_t exit_code = 0;
  std::string job_json;      // the job with its defaults filled in
  std::string cluster_json;  // the same of the cluster; these may be empty
  std::string plan_json;
  std::string model;  // path
  std::string model_sha256;
  std::string document_sha256;
  std::uint64_t seed = 0;
  std::uint64_t prefix_tokens = 0;
  std::uint64_t document_tokens = 0;
  std::uint64_t questions = 0;
  std::uint64_t answer_tokens = 0;
  double load_seconds = 0;
  double prefill_seconds = 0;      // of the prefix
  double decode_seconds = 0;       // of questions and answers
  std::uint64_t resumed_rows = 0;  // of the prefix, read in earlier runs
  double resumed_seconds = 0;      // that those took
  double planned_fill = 0;         // share of the prefill that the plan expects a rank to work
  std::string policy;              // all that is set of it; empty: full
  std::uint64_t policy_hash = 0;   // of that and of the version of its rules
  std::string audit;               // name of the file beside; empty: the job did not ask
  std::vector<Footprint> planned;  // by rank
  std::vector<RankReport> ranks;   // by rank
};

/// How much of a phase the ranks spent computing: of all ranks' time, from when the first had work
/// until the last had none. The rest is bubble. 0 if there was no such phase.
double busy_share(const std::vector<RankReport>& ranks, PhaseReport RankReport::*phase);

/// Pretty-printed JSON. Plan and actual stand side by side for each rank and line.
std::string to_json(const RunReport& report);

/// Replaces `path`. IoError.
void write_run_report(const std::string& path, const RunReport& report);

/// A line per rank, for people: where its time went, and its bytes, plan against actual.
std::string report_table(const RunReport& report);

}  // namespace varve
