// Configuration from text in one line, and its problems as one text.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/cluster_config.h"
#include "common/config/job_config.h"
#include "common/config/problems.h"

namespace varve {

inline std::string joined(const Problems& problems) {
  return fmt::format("{}", fmt::join(problems.lines(), "\n"));
}

inline std::string job_problems(std::string text, std::vector<std::string> overrides = {}) {
  Problems problems;
  read_job_text("job.yaml", std::move(text), {std::move(overrides), false}, problems);
  return joined(problems);
}

inline std::string cluster_problems(std::string text, std::vector<std::string> overrides = {}) {
  Problems problems;
  read_cluster_text("cluster.yaml", std::move(text), {std::move(overrides), false}, problems);
  return joined(problems);
}

/// The three required keys, then `more`, which starts in line 4.
inline std::string minimal_job(std::string_view more = "") {
  return "model: m.gguf\ndocument: d.txt\nquestions: [Why]\n" + std::string(more);
}

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "varve-config-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path write(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace varve
