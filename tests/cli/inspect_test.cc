// `varve inspect` on what `varve run` left, and on what it did not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/io/regular_file.h"
#include "tests/cli/job_folder.h"

namespace varve {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kPolicy = "cache: {policy: knorm, budget: 50%}";

class Inspect : public JobFolder {
 protected:
  Inspect() {
    write("d.txt", "In the <b>beginning</b>.\n");
    write_job(kPolicy);
  }
  Ended inspect(const std::string& arguments) const {
    Ended ended = run_varve("inspect " + arguments);
    const std::string name = folder_.path().string() + "/";
    for (std::string* text : {&ended.out, &ended.err}) {
      for (auto at = text->find(name); at != text->npos; at = text->find(name)) {
        text->erase(at, name.size());
      }
    }
    return ended;
  }
  void run_audited() const {
    const Ended ended = run("run", "--ranks 2 --set output.audit=true --set sampling.max_tokens=3");
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  std::string read(const std::string& name) const { return read_text_file(path(name), 1 << 24); }
  void expect_error(const std::string& arguments, const std::string& error) const {
    const Ended ended = inspect(arguments);
    EXPECT_EQ(ended.code, 2) << arguments;
    EXPECT_EQ(ended.out, "") << arguments;
    EXPECT_THAT(ended.err, HasSubstr("varve: " + error)) << arguments;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  }
};

TEST_F(Inspect, WritesAPageFromTheFolderOrTheReport) {
  run_audited();
  const Ended ended = inspect(path("out"));
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, "out/audit.html\n");
  const std::string page = read("out/audit.html");
  EXPECT_THAT(page, AllOf(HasSubstr("<!DOCTYPE html>"), HasSubstr("In the &lt;b&gt;beginning"),
                          HasSubstr("rank 1 on "), Not(HasSubstr("<b>beginning"))));
  EXPECT_EQ(inspect(path("out/run.json") + " -o " + path("p.html")).out, "p.html\n");
  EXPECT_EQ(read("p.html"), page);
}

TEST_F(Inspect, TheAuditAgreesWithTheReceiptsAndTheDocument) {
  run_audited();
  const json run = json::parse(read("out/run.json"));
  EXPECT_EQ(run["audit"], "audit.json");
  const json audit = json::parse(read("out/audit.json"));
  ASSERT_EQ(audit["kept"].size(), 1U);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    std::uint64_t kept = 0;
    for (const json& rows : audit["kept"][0]["layers"][layer][0]) kept += rows.get<std::uint64_t>();
    EXPECT_EQ(run["policy"]["receipts"][layer]["head_rows_kept"], kept);
  }
  std::string text;
  for (const json& span : audit["spans"]) text += span.get<std::string>();
  EXPECT_THAT(text, HasSubstr("In the <b>beginning</b>.\n"));
  EXPECT_EQ(audit["questions"][0]["question"], "What");
  EXPECT_EQ(audit["questions"][0]["rows"], 3);
  EXPECT_EQ(audit["memory"].size(), 2U);
}

TEST_F(Inspect, AnswersAreTheSameWithAnAudit) {
  ASSERT_EQ(run("run", "--set output.audit=false").code, 0);
  const json plain = json::parse(read("out/results.jsonl"));
  ASSERT_EQ(run("run", "--set output.audit=true").code, 0);
  const json audited = json::parse(read("out/results.jsonl"));
  EXPECT_EQ(plain["tokens"], audited["tokens"]);
  EXPECT_EQ(plain["answer"], audited["answer"]);
}

TEST_F(Inspect, ARunWithoutAnAuditIsToldWhatToSet) {
  run_audited();
  ASSERT_EQ(run("run").code, 0);
  EXPECT_FALSE(fs::exists(path("out/audit.json"))) << "of the run before";
  expect_error(path("out"),
               "out/run.json: the run kept no audit; set output.audit: true in the job, and run it "
               "again\n");
}

TEST_F(Inspect, AnAuditIsNotReplacedUnlessItMayBe) {
  run_audited();
  fs::remove(path("out/run.json"));
  fs::remove(path("out/results.jsonl"));
  EXPECT_THAT(run("run", "--set output.overwrite=false").err,
              HasSubstr("out/audit.json: is there from an earlier run"));
}

TEST_F(Inspect, WhatIsNoRun) {
  expect_error(path("nowhere"), "nowhere: no such file\n");
  fs::create_directory(path("empty"));
  expect_error(path("empty"), "empty/run.json: no such file\n");
  expect_error(path("d.txt"), "d.txt: is not JSON");
  write("list.json", "[1]");
  expect_error(path("list.json"), "list.json: is no run.json that varve wrote");
  write("empty/verdict.json", "{}");
  expect_error(path("empty"),
               "empty/run.json: is not there, since the run was ended; "
               "empty/verdict.json says why\n");
  EXPECT_EQ(inspect("").code, 2);
}

TEST_F(Inspect, AnAuditThatIsMissingOrBroken) {
  run_audited();
  write("out/audit.json", "{\"version\": 1}");
  expect_error(path("out"), "out/audit.json: is no audit that varve wrote");
  fs::remove(path("out/audit.json"));
  expect_error(path("out"), "out/audit.json: no such file\n");
}

TEST_F(Inspect, APageThatCannotBeWritten) {
  run_audited();
  expect_error(path("out") + " -o /proc/no/page.html", "/proc/no/page.html: cannot be written");
  expect_error(path("out") + " -o " + path("out"), "out: ");
}

}  // namespace
}  // namespace varve
