// Reads the include lines of the whole tree: who may include whom is architecture, so a forbidden
// line fails here and not in a review. Also: no backend's #ifdef outside the folders that hide it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace varve {
namespace {

namespace fs = std::filesystem;

// Folder -> the folders whose headers it may include, besides its own. The longest match counts.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"common", {}},
    {"common/io", {"common"}},
    {"common/wire", {"common", "common/plan", "common/policy"}},
    {"common/model", {"common", "common/io"}},
    {"common/policy", {"common", "common/model"}},
    {"common/config", {"common", "common/io", "common/plan", "common/policy"}},
    {"common/text", {"common", "common/io", "common/model"}},
    {"common/plan", {"common", "common/model", "common/policy", "common/wire"}},
    {"kernels", {"common", "common/model"}},
    {"worker/comm", {"common", "common/wire"}},
    {"worker/comm/nccl",
     {"common", "common/model", "common/plan", "common/wire", "kernels", "worker/comm"}},
    {"worker/model",
     {"common", "common/io", "common/model", "common/plan", "common/wire", "kernels"}},
    {"worker/policy", {"common", "common/model", "common/policy", "kernels"}},
    {"worker/cache",
     {"common", "common/model", "common/plan", "common/policy", "common/wire", "kernels",
      "worker/policy"}},
    {"worker/pipeline",
     {"common", "common/model", "common/plan", "common/policy", "common/wire", "kernels",
      "worker/comm", "worker/model", "worker/policy", "worker/cache"}},
    {"worker/service",
     {"common", "common/model", "common/plan", "common/policy", "common/wire", "kernels",
      "worker/comm", "worker/comm/nccl", "worker/model", "worker/cache", "worker/pipeline"}},
    {"coordinator/fleet", {"common", "common/wire"}},
    {"coordinator/plan", {"common", "common/model", "common/plan", "common/policy", "common/wire"}},
    {"coordinator/schedule", {"common", "common/plan", "common/policy", "common/wire"}},
    {"coordinator/jobs", {"common", "common/io", "common/plan", "common/wire"}},
    {"coordinator/bench", {"common", "common/model", "common/plan", "common/wire"}},
    {"coordinator/eval",
     {"common", "common/io", "common/model", "common/text", "common/plan", "common/policy",
      "common/wire", "coordinator/bench", "coordinator/jobs", "coordinator/schedule"}},
    {"coordinator/inspect",
     {"common", "common/io", "common/model", "common/text", "common/plan", "coordinator/jobs"}},
    {"coordinator/doctor",
     {"common", "common/wire", "common/plan", "kernels", "worker/comm", "worker/comm/nccl",
      "worker/service", "coordinator/fleet"}},
    {"coordinator/cli",
     {"common",
      "common/io",
      "common/wire",
      "common/model",
      "common/config",
      "common/text",
      "common/plan",
      "common/policy",
      "kernels",
      "worker/comm",
      "worker/model",
      "worker/service",
      "worker/pipeline",
      "coordinator/fleet",
      "coordinator/plan",
      "coordinator/schedule",
      "coordinator/jobs",
      "coordinator/bench",
      "coordinator/eval",
      "coordinator/inspect",
      "coordinator/doctor"}},
};

struct Line {
  std::string file;
  std::size_t number;
  std::string text;
};

std::vector<Line> source_lines() {
  std::vector<Line> lines;
  const fs::path root(VARVE_SOURCE_DIR);
  for (const char* top : {"common", "kernels", "worker", "coordinator"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cc" && extension != ".cu" && extension != ".cuh") {
        continue;
      }
      std::ifstream in(entry.path());
      std::string text;
      for (std::size_t number = 1; std::getline(in, text); ++number) {
        lines.push_back({fs::relative(entry.path(), root).string(), number, text});
      }
    }
  }
  return lines;
}

// "worker/model/families/llama.cc" -> "worker/model"; empty if no row of the table covers it.
std::string room_of(const std::string& path) {
  std::string best;
  for (const auto& [room, allowed] : kMayInclude) {
    if (path.starts_with(room + "/") && room.size() > best.size()) best = room;
  }
  return best;
}

std::vector<std::string> violations(const std::vector<Line>& lines) {
  static const std::regex include_line("^\\s*#\\s*include\\s+\"([^\"]+)\"");
  std::vector<std::string> found;
  for (const Line& line : lines) {
    std::smatch match;
    if (!std::regex_search(line.text, match, include_line)) continue;
    const std::string target = match[1];
    const std::string from = room_of(line.file);
    const std::string to = room_of(target);
    const bool allowed =
        !from.empty() && !to.empty() && (from == to || kMayInclude.at(from).contains(to));
    // Highway includes a file into itself once per instruction set, by its own name.
    if (!allowed && !target.starts_with("hwy/")) {
      found.push_back(line.file + ":" + std::to_string(line.number) + " includes " + target);
    }
  }
  return found;
}

TEST(IncludeDirection, TheTreeKeepsIt) {
  const std::vector<Line> lines = source_lines();
  ASSERT_GT(lines.size(), 1000U) << "the tree was not found at " << VARVE_SOURCE_DIR;
  EXPECT_THAT(violations(lines), testing::IsEmpty());
}

TEST(IncludeDirection, AForbiddenLineIsFound) {
  const std::vector<Line> lines = {
      {"worker/model/x.cc", 3, "#include \"worker/cache/segment.h\""},
      {"coordinator/plan/x.cc", 1, "#include \"kernels/ops.h\""},
      {"common/wire/x.h", 2, "  #  include \"common/plan/footprint.h\""},
      {"elsewhere/x.h", 9, "#include \"common/error.h\""},
  };
  EXPECT_THAT(violations(lines),
              testing::ElementsAre("worker/model/x.cc:3 includes worker/cache/segment.h",
                                   "coordinator/plan/x.cc:1 includes kernels/ops.h",
                                   "elsewhere/x.h:9 includes common/error.h"));
}

TEST(BackendConditionals, StayInKernelsAndComm) {
  static const std::regex conditional(
      "^\\s*#\\s*(if|ifdef|ifndef|elif)\\b.*(CUDA|NCCL|MPI|__AVX|__ARM)");
  std::vector<std::string> found;
  for (const Line& line : source_lines()) {
    if (line.file.starts_with("kernels/") || line.file.starts_with("worker/comm/")) continue;
    if (std::regex_search(line.text, conditional)) {
      found.push_back(line.file + ":" + std::to_string(line.number) + " " + line.text);
    }
  }
  EXPECT_THAT(found, testing::IsEmpty());
}

}  // namespace
}  // namespace varve
