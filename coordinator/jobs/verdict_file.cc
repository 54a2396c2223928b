#include "coordinator/jobs/verdict_file.h"

#include <nlohmann/json.hpp>

#include "coordinator/jobs/atomic_file.h"

namespace varve {

std::string verdict_line(const VerdictRecord& verdict) {
  return fmt::format("varve: {} (exit code {})", verdict.text, static_cast<int>(verdict.code));
}

void write_verdict(const std::filesystem::path& path, const VerdictRecord& verdict) {
  using Json = nlohmann::ordered_json;
  const Json json = {{"verdict", verdict.text},
                     {"exit_code", static_cast<int>(verdict.code)},
                     {"rank", verdict.rank < 0 ? Json(nullptr) : Json(verdict.rank)},
                     {"host", verdict.host.empty() ? Json(nullptr) : Json(verdict.host)},
                     {"time", verdict.time}};
  write_file_atomically(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace varve
