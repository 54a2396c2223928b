#include "coordinator/inspect/audit_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "tests/coordinator/inspect/records.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class AuditFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const {
    std::ofstream(folder_ / "audit.json", std::ios::binary) << text;
    return folder_ / "audit.json";
  }
  std::string problem(const std::string& text) const {
    try {
      read_audit(write(text));
    } catch (const IoError& error) {
      return error.what();
    }
    return "";
  }
  /// Of the sample with one value replaced.
  std::string problem_with(const std::string& pointer, const json& value) const {
    json audit = json::parse(to_json(sample_audit()));
    audit[json::json_pointer(pointer)] = value;
    return problem(audit.dump());
  }

  TempFolder folder_;
};

TEST_F(AuditFile, IsReadAsItWasWritten) {
  AuditRecord audit = sample_audit();
  audit.spans[1] = "\xff </script> \"";
  AuditKept own = audit.kept[0];
  own.question = 0;
  audit.kept.push_back(own);
  const AuditRecord read = read_audit(write(to_json(audit)));
  audit.spans[1] = "\uFFFD </script> \"";
  EXPECT_EQ(to_json(read), to_json(audit));
  EXPECT_EQ(read.spans, audit.spans);
  EXPECT_EQ(read.questions[0].shares, audit.questions[0].shares);
  EXPECT_EQ(read.kept[0].layers, audit.kept[0].layers);
  EXPECT_FALSE(read.kept[0].question);
  EXPECT_EQ(read.kept[1].question, 0U);
  EXPECT_EQ(read.memory[0][1].bytes, 4096U);
}

TEST_F(AuditFile, WhatVarveDidNotWriteIsRefused) {
  EXPECT_THAT(problem("{"), HasSubstr("audit.json"));
  EXPECT_THAT(problem("[]"), HasSubstr("audit.json: is no audit that varve wrote"));
  EXPECT_THAT(problem_with("/version", 2), HasSubstr("is an audit of version 2"));
  EXPECT_THAT(problem_with("/spans", "x"), HasSubstr("is no audit that varve wrote"));
  for (const auto& [pointer, value] : {std::pair<std::string, json>{"/rows", 400},
                                       {"/span_rows", 0},
                                       {"/cell_rows", 0},
                                       {"/model_layers", 0},
                                       {"/model_layers", 4},
                                       {"/document_begin", 23},
                                       {"/spans/6", "more"},
                                       {"/kept/0/span_rows", json::array({1})},
                                       {"/kept/0/layers/1/0", json::array({1})},
                                       {"/kept/0/question", 1},
                                       {"/questions/0/shares", json::array()},
                                       {"/questions", json::array()}}) {
    EXPECT_THAT(problem_with(pointer, value), HasSubstr("its lists do not belong together"))
        << pointer;
  }
}

}  // namespace
}  // namespace varve
