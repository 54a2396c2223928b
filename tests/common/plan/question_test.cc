#include "common/plan/question.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(AnswerLimit, IsWhatWasAskedForWhereThereIsRoom) {
  EXPECT_EQ(answer_limit(100, 10, 50, 1000), 50U);
}

TEST(AnswerLimit, LastTokenNeedsNoPosition) {
  // Rows 100..109 hold the question; the context has positions 0..119.
  EXPECT_EQ(answer_limit(100, 10, 50, 120), 11U);
  EXPECT_EQ(question_rows(10, 11), 20U);
}

TEST(AnswerLimit, OneTokenWhereTheQuestionFillsTheContext) {
  EXPECT_EQ(answer_limit(100, 20, 50, 120), 1U);
  EXPECT_EQ(question_rows(20, 1), 20U);
}

TEST(AnswerLimit, RefusesAQuestionThatDoesNotFit) {
  EXPECT_ANY_THROW(answer_limit(100, 21, 50, 120));
}

}  // namespace
}  // namespace varve
