// What `varve validate` prints, and how a command line's overrides are dealt out.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace varve {

struct Overrides {
  std::vector<std::string> job;
  std::vector<std::string> cluster;
};

/// Those that begin with "cluster." are the cluster file's, all others the job's.
Overrides split_overrides(std::span<const std::string> overrides);

/// Every problem of a job file and of a cluster file, one line each; none if both are right.
std::vector<std::string> validate_files(const std::filesystem::path& job,
                                        const std::optional<std::filesystem::path>& cluster,
                                        const Overrides& overrides);

}  // namespace varve
