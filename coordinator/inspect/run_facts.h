// What the page says of a run besides its audit: a part of run.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/plan/report.h"

namespace varve {

struct RankFacts {
  std::string host;
  LayerRange layers;
  std::uint64_t kv_peak = 0;
};

struct RunFacts {
  std::string started;  // UTC
  std::string model;    // path
  std::string document_sha256;
  std::string policy;  // all that is set of it; empty: full
  std::uint64_t document_tokens = 0;
  std::vector<RankFacts> ranks;
  std::vector<LayerReceipt> receipts;  // without hashes; none for full
  std::filesystem::path audit;         // beside run.json; empty: the job did not ask for one
};

/// IoError if the file cannot be read or is no run.json that varve wrote.
RunFacts read_run_facts(const std::filesystem::path& run_json);

}  // namespace varve
