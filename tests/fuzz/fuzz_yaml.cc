// Any bytes as a job file, as a cluster file, and as an override. No file but the text is read.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "common/config/cluster_config.h"
#include "common/config/job_config.h"
#include "common/config/problems.h"
#include "common/error.h"

namespace {

std::string job_of(const std::string& text, const varve::ReadOptions& options) {
  varve::Problems problems;
  const varve::JobConfig job = varve::read_job_text("job.yaml", text, options, problems);
  return problems.empty() ? varve::to_json(job) : std::string();
}

std::string cluster_of(const std::string& text) {
  varve::Problems problems;
  const varve::ClusterConfig cluster =
      varve::read_cluster_text("cluster.yaml", text, {{}, false}, problems);
  if (problems.empty()) varve::check_layers(cluster, 30, 2, problems);
  return problems.empty() ? varve::to_json(cluster) : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const std::string& json : {job_of(text, {{}, false}), cluster_of(text)}) {
    VARVE_CHECK(json.empty() || nlohmann::json::accept(json), "{}", json);
  }
  job_of("model: m\ndocument: [d]\nquestions: [q]\n", {{text}, false});
  return 0;
}
