#include "coordinator/inspect/audit_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/text/byte_alphabet.h"

namespace varve {
namespace {

using testing::ElementsAre;

// A token for each byte, and one that is special.
Tokenizer byte_tokenizer() {
  TokenizerSpec spec;
  spec.source = "test.json";
  spec.byte_level = true;
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.push_back(spell_bytes(std::string(1, static_cast<char>(byte))));
  }
  spec.tokens.emplace_back("<user>");
  AddedToken user;
  user.id = 256;
  user.text = "<user>";
  user.special = true;
  spec.added = {user};
  return Tokenizer(std::move(spec));
}

ModelConfig two_layers() {
  ModelConfig model;
  model.layers = 2;
  model.q_heads = 2;
  model.kv_heads = 1;
  return model;
}

RankReport report_of(std::uint32_t layer) {
  RankReport rank;
  rank.audit.maps = {{.sequence = 0, .layer = layer, .rows = {2, layer}}};
  rank.audit.kept = {{.sequence = 0, .rows = {1, 1, layer}, .layers = {1, 1, layer}}};
  const auto one = static_cast<std::int64_t>(kAttendedOne);
  rank.audit.attended = {{.sequence = 2, .rows = 5, .spans = {one, 3 * one, one / 2}}};
  rank.audit.memory = {{10, 100 + layer}};
  return rank;
}

TEST(AuditRecord, AddsTheRanksUp) {
  const Tokenizer tokenizer = byte_tokenizer();
  const ModelConfig model = two_layers();
  const std::vector<TokenId> prefix = {256, 'a', 'b', 0xC3, 0xA4, 'c'};
  std::vector<QuestionResult> results(2);
  results[0].id = "first";
  results[1].id = "second";
  results[1].answer = "yes";
  const AuditInputs inputs{.model = model,
                           .tokenizer = tokenizer,
                           .prefix = prefix,
                           .document_begin = 1,
                           .grid = {.span_rows = 2, .cell_rows = 3},
                           .results = results};
  const AuditRecord record = make_audit_record(inputs, {report_of(0), report_of(1)});
  EXPECT_EQ(record.rows, 6U);
  EXPECT_THAT(record.spans, ElementsAre("<user>a", "b", "äc")) << "no character is torn";
  ASSERT_EQ(record.kept.size(), 1U);
  EXPECT_FALSE(record.kept[0].question);
  EXPECT_THAT(record.kept[0].layers, ElementsAre(ElementsAre(2, 0), ElementsAre(2, 1)));
  EXPECT_THAT(record.kept[0].span_rows, ElementsAre(2, 2, 1));
  EXPECT_THAT(record.kept[0].span_layers, ElementsAre(2, 2, 1));
  ASSERT_EQ(record.questions.size(), 2U);
  EXPECT_EQ(record.questions[0].rows, 0U);
  EXPECT_THAT(record.questions[0].shares, ElementsAre(0, 0, 0));
  EXPECT_EQ(record.questions[1].answer, "yes");
  EXPECT_EQ(record.questions[1].rows, 5U);
  // Of 5 rows, 2 query heads and 2 layers.
  EXPECT_THAT(record.questions[1].shares, ElementsAre(0.1, 0.3, 0.05));
  ASSERT_EQ(record.memory.size(), 2U);
  EXPECT_EQ(record.memory[1][0].bytes, 101U);
}

}  // namespace
}  // namespace varve
