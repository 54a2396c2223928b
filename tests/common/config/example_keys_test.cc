// The commented examples name every key there is, so that they can serve as the reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "common/config/eval_config.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

using Json = nlohmann::json;

// Of all maps in `value`, but not of lists.
void add_keys(const Json& value, std::vector<std::string>& keys) {
  if (!value.is_object()) return;
  for (const auto& [key, child] : value.items()) {
    keys.push_back(key);
    add_keys(child, keys);
  }
}

std::vector<std::string> keys_of(const std::string& json) {
  std::vector<std::string> keys;
  add_keys(Json::parse(json), keys);
  return keys;
}

// The keys of `json` that no line of the file begins with.
std::vector<std::string> not_named(const std::string& json, const std::string& file) {
  std::ifstream in(std::filesystem::path(VARVE_SOURCE_DIR) / "configs" / file);
  EXPECT_TRUE(in.is_open()) << file;
  std::vector<std::string> missing = keys_of(json);
  for (std::string line; std::getline(in, line);) {
    line.erase(0, line.find_first_not_of(' '));
    std::erase_if(missing, [&line](const std::string& key) { return line.starts_with(key + ":"); });
  }
  return missing;
}

TEST(ExampleKeys, OfAClusterAreAllInLocal) {
  EXPECT_THAT(keys_of(to_json(ClusterConfig{})), testing::Contains("deadlines"));
  EXPECT_THAT(not_named(to_json(ClusterConfig{}), "clusters/local.yaml"), testing::IsEmpty());
}

TEST(ExampleKeys, OfAJobAreAllInDocumentQa) {
  Problems problems;
  const JobConfig job = read_job_text("job.yaml", minimal_job(), {{}, false}, problems);
  EXPECT_EQ(joined(problems), "");
  EXPECT_THAT(not_named(to_json(job), "jobs/document_qa.yaml"), testing::IsEmpty());
}

TEST(ExampleKeys, OfAnEvaluationAreAllInSmollm2) {
  constexpr std::array kTasks = {ComponentSpec{"pass_key", ""}};
  Problems problems;
  const EvalConfig config =
      read_eval_text("eval.yaml",
                     "model: m.gguf\ntext: t.txt\ntasks: [pass_key]\nlengths: [4k]\n"
                     "policies: [full]\n",
                     {{}, false}, kTasks, problems);
  EXPECT_EQ(joined(problems), "");
  EXPECT_THAT(not_named(to_json(config, kTasks), "eval/smollm2.yaml"), testing::IsEmpty());
}

}  // namespace
}  // namespace varve
