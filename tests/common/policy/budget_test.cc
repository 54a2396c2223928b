#include "common/policy/budget.h"

#include <gtest/gtest.h>

#include "common/error.h"

namespace varve {
namespace {

using Kind = Budget::Kind;

TEST(Budget, IsTokensPercentOrBytes) {
  EXPECT_EQ(parse_budget("512"), (Budget{Kind::kTokens, 512}));
  EXPECT_EQ(parse_budget(" 1 "), (Budget{Kind::kTokens, 1}));
  EXPECT_EQ(parse_budget("20%"), (Budget{Kind::kPercent, 20}));
  EXPECT_EQ(parse_budget("12.5 %"), (Budget{Kind::kPercent, 12.5}));
  EXPECT_EQ(parse_budget("100%"), (Budget{Kind::kPercent, 100}));
  EXPECT_EQ(parse_budget("64MiB"), (Budget{Kind::kBytes, 67108864}));
  EXPECT_EQ(parse_budget("1.5 GB"), (Budget{Kind::kBytes, 1.5e9}));
}

TEST(Budget, PrintsAsItIsParsed) {
  for (const char* text : {"512", "20%", "12.5%", "64 MiB", "1234567 B", "4294967296"}) {
    EXPECT_EQ(to_string(parse_budget(text)), text);
  }
  EXPECT_EQ(to_string(Budget{}), "all");
}

struct Refusal {
  const char* text;
  const char* message;
};
class BudgetRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(BudgetRefuses, AndSaysWhatWouldBeRight) {
  try {
    parse_budget(GetParam().text);
    ADD_FAILURE() << GetParam().text;
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BudgetRefuses,
    testing::Values(
        Refusal{"",
                "must be a number of tokens (512), a share of the document (20%) or a size "
                "(64MiB), is ''"},
        Refusal{"0", "must be between 1 and 4294967296 tokens, is 0"},
        Refusal{"4294967297", "must be between 1 and 4294967296 tokens, is 4294967297"},
        Refusal{"99999999999999999999999",
                "must be between 1 and 4294967296 tokens, is 99999999999999999999999"},
        Refusal{"0%", "must be more than 0% and at most 100%, is 0%"},
        Refusal{"-5%", "must be more than 0% and at most 100%, is -5%"},
        Refusal{"101%", "must be more than 0% and at most 100%, is 101%"},
        Refusal{"nan%",
                "must be a number of tokens (512), a share of the document (20%) or a size "
                "(64MiB), is 'nan%'"},
        Refusal{"%",
                "must be a number of tokens (512), a share of the document (20%) or a size "
                "(64MiB), is '%'"},
        Refusal{"0MiB", "must be more than 0 bytes, is 0MiB"},
        Refusal{"-5",
                "must be a number of tokens (512), a share of the document (20%) or a size "
                "(64MiB), is '-5'"},
        Refusal{"lots",
                "must be a number of tokens (512), a share of the document (20%) or a size "
                "(64MiB), is 'lots'"}));

TEST(Budget, SharesAreRoundedDownAndNeverMoreThanAll) {
  EXPECT_EQ(share_of({Kind::kPercent, 50}, 7), 3U);
  EXPECT_EQ(share_of({Kind::kPercent, 1}, 7), 0U);
  EXPECT_EQ(share_of({Kind::kPercent, 29}, 100), 29U);
  EXPECT_EQ(share_of({Kind::kTokens, 5}, 7), 5U);
  EXPECT_EQ(share_of({Kind::kTokens, 9}, 7), 7U);
  EXPECT_EQ(share_of({}, 7), 7U);
}

}  // namespace
}  // namespace varve
