// What `varve validate` prints, and how a command line's overrides are dealt out.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/policy/contradictions.h"

namespace varve {

struct ClusterConfig;
struct JobConfig;

struct Overrides {
  std::vector<std::string> job;
  std::vector<std::string> cluster;
};

/// Those that begin with "cluster." are the cluster file's, all others the job's.
Overrides split_overrides(std::span<const std::string> overrides);

/// What a job's cache policy meets in its model.
using ModelCheck =
    std::function<std::vector<Contradiction>(const JobConfig&, const ClusterConfig&)>;

/// Every problem of a job file and of a cluster file, one line each; none if both are right.
/// `check` is asked once both have been read, whatever was wrong with them, if there is a model.
std::vector<std::string> validate_files(const std::filesystem::path& job,
                                        const std::optional<std::filesystem::path>& cluster,
                                        const Overrides& overrides, const ModelCheck& check = {});

}  // namespace varve
