// Every example in configs/ reads without a problem; its data files need not be there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "common/config/eval_config.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

std::vector<std::filesystem::path> yaml_files(const char* folder) {
  std::vector<std::filesystem::path> files;
  const auto root = std::filesystem::path(VARVE_SOURCE_DIR) / "configs" / folder;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(Examples, JobsRead) {
  const auto files = yaml_files("jobs");
  EXPECT_FALSE(files.empty());
  for (const auto& file : files) {
    Problems problems;
    const JobConfig job = read_job(file, {{}, false}, problems);
    EXPECT_EQ(joined(problems), "") << file;
    EXPECT_NE(job.model, "") << file;  // its questions may stand in a file that is not made yet
  }
}

TEST(Examples, ClustersRead) {
  const auto files = yaml_files("clusters");
  EXPECT_FALSE(files.empty());
  for (const auto& file : files) {
    Problems problems;
    read_cluster(file, {{}, false}, problems);
    EXPECT_EQ(joined(problems), "") << file;
  }
}

TEST(Examples, EvaluationsRead) {
  static constexpr std::array kWords = {ParamSpec{"words", 32, 12, 256, true, {}, ""},
                                        ParamSpec{"given", 8, 4, 128, true, {}, ""}};
  constexpr std::array kTasks = {ComponentSpec{"pass_key", ""},
                                 ComponentSpec{"random_words", "", kWords}};
  const auto files = yaml_files("eval");
  EXPECT_FALSE(files.empty());
  for (const auto& file : files) {
    Problems problems;
    const EvalConfig config = read_eval(file, {{}, false}, kTasks, problems);
    EXPECT_EQ(joined(problems), "") << file;
    EXPECT_FALSE(config.policies.empty()) << file;
    EXPECT_TRUE(is_eval_file(file)) << file;
  }
}

TEST(Examples, PoliciesRead) {
  const auto files = yaml_files("policies");
  EXPECT_FALSE(files.empty());
  const TemporaryFolder folder;
  folder.write("m.gguf", "");
  folder.write("d.txt", "Text.");
  const auto job = folder.write("job.yaml", minimal_job("cache: {budget: 20%}"));
  for (const auto& file : files) {
    Problems problems;
    const JobConfig read = read_job(job, {{"cache.policy=" + file.string()}, true}, problems);
    EXPECT_EQ(joined(problems), "") << file;
    EXPECT_NE(read.policy.preset, "full") << file;
  }
}

TEST(Examples, CommentedExamplesSayTheDefaults) {
  // local.yaml and document_qa.yaml claim to show the defaults.
  const auto root = std::filesystem::path(VARVE_SOURCE_DIR) / "configs";
  Problems problems;
  ClusterConfig local = read_cluster(root / "clusters/local.yaml", {{}, false}, problems);
  ClusterConfig defaults = read_cluster_text("x", "ranks: 2", {{}, false}, problems);
  EXPECT_EQ(to_json(local), to_json(defaults));

  const JobConfig job = read_job(root / "jobs/document_qa.yaml", {{}, false}, problems);
  JobConfig bare =
      read_job_text(root / "jobs/document-qa.yaml", minimal_job(), {{}, false}, problems);
  EXPECT_EQ(joined(problems), "");
  bare.model = job.model;
  bare.document = job.document;
  bare.questions = job.questions;
  EXPECT_EQ(to_json(job), to_json(bare));
}

}  // namespace
}  // namespace varve
