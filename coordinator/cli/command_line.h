// What a user typed, and the commands that it may ask for, one file each.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace varve {

struct CommandLine {
  std::filesystem::path job;
  std::optional<std::filesystem::path> cluster;
  std::vector<std::string> overrides;  // "sampling.seed=7", "cluster.threads=2"
  bool json = false;                   // plan: as JSON
};

struct InspectLine {
  std::filesystem::path run;                  // run.json, or the folder that it is in
  std::optional<std::filesystem::path> page;  // to write; nothing: audit.html beside run.json
};

/// Each returns the exit code, or throws an Error that carries it.
int validate_command(const CommandLine& line);
int plan_command(const CommandLine& line);
int run_command(const CommandLine& line);
int eval_command(const CommandLine& line);
int doctor_command(const CommandLine& line);
int inspect_command(const InspectLine& line);
/// `show`: the policy to say all about; empty: list them all.
int methods_command(const std::string& show);

}  // namespace varve
