#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "coordinator/eval/task.h"
#include "tests/coordinator/bench/message.h"
#include "tests/coordinator/eval/text.h"

namespace varve {
namespace {

using test::message_of;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class Tasks : public testing::Test {
 protected:
  TaskSample make(std::string_view name, std::vector<double> params, std::uint64_t seed = 1) {
    params_ = std::move(params);
    return find_eval_task(name).make({.source = *source_,
                                      .first = 100,
                                      .tokens = 600,
                                      .params = params_,
                                      .random = Random(seed)});
  }
  std::vector<double> params_;
  std::unique_ptr<const SourceText> source_ = source_of(1000);
};

TEST_F(Tasks, TheTableHasThem) {
  std::vector<std::string> names;
  for (const ComponentSpec& spec : eval_task_specs()) {
    names.emplace_back(spec.name);
    EXPECT_FALSE(spec.summary.empty());
  }
  EXPECT_THAT(names, ElementsAre("pass_key", "multi_key", "many_questions", "variable_tracking",
                                 "random_words", "repeated_verse"));
}

TEST_F(Tasks, LabelsNameWhatIsNotUsual) {
  const TaskSpec& task = find_eval_task("random_words");
  EXPECT_EQ(task_label(task, std::vector<double>{32, 8}), "random_words");
  EXPECT_EQ(task_label(task, std::vector<double>{64, 8}), "random_words {words=64}");
  EXPECT_EQ(task_label(task, std::vector<double>{64, 9}), "random_words {words=64, given=9}");
}

TEST_F(Tasks, PassKey) {
  const TaskSample sample = make("pass_key", {});
  ASSERT_THAT(sample.facts, SizeIs(1));
  ASSERT_THAT(sample.questions, SizeIs(1));
  const TaskQuestion& q = sample.questions[0];
  EXPECT_EQ(q.expected.size(), 5U);
  EXPECT_EQ(sample.facts[0].sentence, q.lead + " " + q.expected + ".");
  EXPECT_THAT(q.text, Not(HasSubstr(q.expected)));
}

TEST_F(Tasks, SeedsMakeOtherSamplesAndTheSameSeedTheSame) {
  for (const TaskSpec& task : eval_tasks()) {
    std::vector<double> params;
    for (const ParamSpec& p : task.spec.params) params.push_back(p.fallback);
    if (task.spec.name == "repeated_verse") params = {2, 4};  // of short sentences
    std::set<std::string> expected;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const TaskSample sample = make(task.spec.name, params, seed);
      expected.insert(sample.questions.at(0).expected);
      EXPECT_EQ(make(task.spec.name, params, seed).questions.at(0).text, sample.questions[0].text);
      for (const Fact& fact : sample.facts) {
        EXPECT_GE(fact.depth, 0);
        EXPECT_LT(fact.depth, 1);
      }
    }
    EXPECT_GE(expected.size(), 10U) << task.spec.name;
  }
}

TEST_F(Tasks, SeveralKeysAreOfDifferentCitiesAndParts) {
  for (const char* name : {"multi_key", "many_questions"}) {
    const TaskSample sample = make(name, {8});
    ASSERT_THAT(sample.facts, SizeIs(8));
    std::set<std::string> facts;
    for (std::size_t i = 0; i < 8; ++i) {
      facts.insert(sample.facts[i].sentence);
      EXPECT_EQ(static_cast<std::size_t>(8 * sample.facts[i].depth), i);
    }
    EXPECT_THAT(facts, SizeIs(8));
    EXPECT_THAT(sample.questions, SizeIs(std::string(name) == "multi_key" ? 1 : 8));
    for (const TaskQuestion& q : sample.questions) {
      EXPECT_TRUE(facts.contains(q.lead + " " + q.expected + "."));
    }
  }
}

TEST_F(Tasks, VariablesLeadToTheNumber) {
  const TaskSample sample = make("variable_tracking", {3});
  ASSERT_THAT(sample.facts, SizeIs(4));
  const TaskQuestion& q = sample.questions.at(0);
  // From the one that is asked for back to the number.
  std::string name = q.lead.substr(9, 3);
  for (std::size_t i = 3; i > 0; --i) {
    const std::string& fact = sample.facts[i].sentence;
    EXPECT_THAT(fact, StartsWith("Variable " + name + " is equal to variable "));
    name = fact.substr(fact.size() - 4, 3);
    EXPECT_GT(sample.facts[i].depth, sample.facts[i - 1].depth);
  }
  EXPECT_EQ(sample.facts[0].sentence, "Variable " + name + " is " + q.expected + ".");
}

TEST_F(Tasks, RandomWordsGoOnAsTheyStood) {
  const TaskSample sample = make("random_words", {20, 6});
  const TaskQuestion& q = sample.questions.at(0);
  EXPECT_EQ(sample.facts.at(0).sentence, q.lead + q.expected);
  EXPECT_EQ(count_words(q.lead), 3U + 6);
  EXPECT_EQ(count_words(q.expected), 14U);
}

TEST_F(Tasks, RandomWordsThatCannotBe) {
  EXPECT_THAT(message_of([&] {
                make("random_words", {20, 20});
              }),
              HasSubstr("let given be less than words"));
  EXPECT_THAT(message_of([&] {
                make("random_words", {256, 6});
              }),
              HasSubstr("and random_words needs 256 different ones"));
}

TEST_F(Tasks, AVerseStandsInTheDocumentOnceAndIsQuoted) {
  const TaskSample sample = make("repeated_verse", {2, 4});
  EXPECT_THAT(sample.facts, SizeIs(0));
  const TaskQuestion& q = sample.questions.at(0);
  EXPECT_EQ(count_words(q.lead), 2U);
  EXPECT_EQ(count_words(q.expected), 4U);
  const std::string document = cut_document(*source_, 100, {}, 500, count_words, Random(1));
  const std::size_t at = document.find(q.lead + q.expected);
  ASSERT_NE(at, document.npos);
  EXPECT_EQ(document.find(q.lead, at + 1), document.npos);
}

TEST_F(Tasks, NoVerseIsLongEnough) {
  EXPECT_THAT(message_of([&] {
                make("repeated_verse", {16, 24});
              }),
              HasSubstr("book.txt: 600 tokens of it hold no sentence of more than 22 words"));
}

TEST(Names, AWordOfItsOwn) {
  EXPECT_TRUE(names("48213", "48213"));
  EXPECT_TRUE(names(" 48213.\n", "48213"));
  EXPECT_TRUE(names("It is **48213**, or 482131", "48213"));
  EXPECT_FALSE(names("482131", "48213"));
  EXPECT_FALSE(names("148213", "48213"));
  EXPECT_FALSE(names("", "48213"));
}

}  // namespace
}  // namespace varve
