// The cache policies that the pipeline's laws are tested on, with periods and windows that suit a
// document of 150 rows.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "tests/worker/pipeline/pipeline_run.h"

namespace varve {

struct PolicyCase {
  std::string name;
  PolicyConfig policy;
};
void PrintTo(const PolicyCase& c, std::ostream* out);

/// Every preset but `full`, and combinations that no preset has.
std::vector<PolicyCase> policy_cases(Budget budget);

/// A preset in that size.
PolicyConfig small_preset(std::string_view name, Budget budget);

/// Four questions over a document of 150 rows, on a tiny model that is written into `folder`.
PipelineCase small_job(const PolicyConfig& policy, const std::filesystem::path& folder);

}  // namespace varve
