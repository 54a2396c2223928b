// A job read, checked and tokenized: all that planning needs, and no weight touched.
#pragma once

#include <vector>

#include "common/config/cluster_config.h"
#include "common/config/document.h"
#include "common/config/job_config.h"
#include "common/text/tokenizer.h"
#include "common/wire/orders.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/site.h"
#include "coordinator/plan/planner.h"
#include "worker/model/model.h"

namespace varve {

struct PreparedJob {
  JobConfig job;
  ClusterConfig cluster;
  Document document;
  Model model;
  Tokenizer tokenizer;
  std::vector<TokenId> prefix;                  // the document and what stands before it
  std::size_t document_tokens = 0;              // of them
  std::vector<std::vector<TokenId>> questions;  // what comes after the prefix, by question
  std::vector<std::vector<TokenId>> probes;     // what a guided policy looks with; else none
};

/// What the two files say.
struct JobFiles {
  JobConfig job;
  ClusterConfig cluster;
};

/// Every problem of both files in one ConfigError.
JobFiles read_job_files(const CommandLine& line);

/// The cluster file of the line, or defaults, with the line's overrides.
ClusterConfig read_cluster_of(const CommandLine& line, Problems& problems);

/// Errors of the model, tokenizer, document.
PreparedJob prepare_job(JobFiles files);

/// What a cluster's settings mean for a plan of a model of `layers` layers there. ConfigError if
/// its cut does not fit.
PlanOptions plan_options_of(const ClusterConfig& cluster, std::size_t layers, const Site& site);

/// Errors as make_plan.
Plan plan_job(const PreparedJob& job, const Site& site);

/// What every rank is told.
Orders make_orders(const ClusterConfig& cluster, const std::filesystem::path& model,
                   const Plan& plan, const DeviceChoice& devices);

}  // namespace varve
