#include "coordinator/schedule/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/coordinator/schedule/pipeline_model.h"

namespace varve {
namespace {

using test::PipelineModel;
using test::Recorder;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Pair;

std::vector<std::int32_t> tokens(std::size_t count, std::int32_t first) {
  std::vector<std::int32_t> t(count);
  std::iota(t.begin(), t.end(), first);
  return t;
}

BatchJob job_of(std::size_t prefix, std::vector<std::size_t> questions, std::uint32_t max_tokens) {
  BatchJob job;
  job.prefix = tokens(prefix, 1000);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    BatchQuestion q;
    q.tokens = tokens(questions[i], static_cast<std::int32_t>(2000 + 100 * i));
    q.max_tokens = max_tokens;
    q.sampling.stream = i;
    job.questions.push_back(q);
  }
  job.chunk = 4;
  job.parallel = static_cast<std::uint32_t>(std::max<std::size_t>(questions.size(), 1));
  job.context = 1000;
  return job;
}

// The steps that come without a single result.
std::vector<Step> before_results(Batcher& batcher) {
  std::vector<Step> steps;
  Step step;
  while (batcher.next(step)) steps.push_back(step);
  return steps;
}

std::string shape(const std::vector<Step>& steps) {
  std::string text;
  for (const Step& s : steps) {
    text += text.empty() ? "" : " ";
    if (s.kind == StepKind::kOpen) text += fmt::format("open{}[{}]", s.sequence, s.capacity);
    if (s.kind == StepKind::kCompact) text += fmt::format("compact{}", s.sequence);
    if (s.kind == StepKind::kSave) text += fmt::format("save{}", s.sequence);
    if (s.kind == StepKind::kLoad) text += fmt::format("load{}", s.sequence);
    if (s.kind == StepKind::kRelease) text += fmt::format("release{}", s.sequence);
    if (s.kind == StepKind::kStop) text += "stop";
    for (const SequenceRows& r : s.rows) {
      text += fmt::format("{}{}@{}+{}{}", &r == &s.rows.front() ? "" : "|", r.sequence, r.begin,
                          r.count, r.sample ? "!" : "");
    }
  }
  return text;
}

TEST(Batcher, PrefillComesWholeWithoutAResult) {
  Recorder recorder(2);
  Batcher batcher(job_of(10, {3, 2}, 4), recorder);
  EXPECT_EQ(shape(before_results(batcher)),
            "open0[10] 0@0+4 0@4+4 0@8+2 open1[6] open2[5] 1@10+3!|2@10+1 2@11+1!");
}

TEST(Batcher, PrefixProgressIsReportedWhenTheFirstStageIsDone) {
  Recorder recorder(1);
  Batcher batcher(job_of(10, {3}, 1), recorder);
  Step step;
  ASSERT_TRUE(batcher.next(step));  // open
  ASSERT_TRUE(batcher.next(step));  // rows 0..3 are on their way
  EXPECT_TRUE(recorder.prefix_rows.empty());
  before_results(batcher);
  EXPECT_THAT(recorder.prefix_rows, ElementsAre(Pair(4, 10), Pair(8, 10), Pair(10, 10)));
}

TEST(Batcher, LastTokenNeedsNoRow) {
  PipelineModel pipeline(job_of(5, {3}, 1), {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(shape(pipeline.log()), "open0[5] 0@0+4 0@4+1 open1[3] 1@5+3! release1 release0 stop");
  EXPECT_THAT(pipeline.recorder().answers[0], ElementsAre(test::model_token(1, 7)));
  EXPECT_EQ(pipeline.recorder().reasons[0], FinishReason::kLength);
}

TEST(Batcher, AnswerIsFedBackTokenByToken) {
  PipelineModel pipeline(job_of(5, {2}, 3), {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(shape(pipeline.log()),
            "open0[5] 0@0+4 0@4+1 open1[4] 1@5+2! 1@7+1! 1@8+1! release1 release0 stop");
}

TEST(Batcher, WithoutAPrefixQuestionsStandAlone) {
  PipelineModel pipeline(job_of(0, {3}, 2), {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(shape(pipeline.log()), "open1[4] 1@0+3! 1@3+1! release1 stop");
  EXPECT_EQ(pipeline.log()[0].parent, kNoSequence);
  EXPECT_TRUE(pipeline.recorder().prefix_rows.empty());
}

TEST(Batcher, WithoutQuestionsTheDocumentIsReadAllTheSame) {
  PipelineModel pipeline(job_of(5, {}, 1), {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(shape(pipeline.log()), "open0[5] 0@0+4 0@4+1 release0 stop");
  EXPECT_THAT(pipeline.recorder().prefix_rows, ElementsAre(Pair(4, 5), Pair(5, 5)));
}

TEST(Batcher, APolicyCompactsTheDocumentBeforeItIsShared) {
  BatchJob job = job_of(5, {2}, 2);
  job.compaction.document = true;
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(shape(pipeline.log()),
            "open0[5] 0@0+4 0@4+1 compact0 open1[3] 1@5+2! 1@7+1! release1 release0 stop");
}

TEST(Batcher, StepsOfAStreamEndWhereItCompacts) {
  BatchJob job = job_of(10, {2}, 1);
  job.compaction = {.document = true, .question = false, .period = 3};
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(shape(pipeline.log()),
            "open0[10] 0@0+3 0@3+3 0@6+3 0@9+1 compact0 open1[2] 1@10+2! release1 release0 stop");
}

TEST(Batcher, ProbesRideBeforeEachCompaction) {
  BatchJob job = job_of(10, {2}, 1);
  job.chunk = 2;
  job.compaction = {.document = true, .question = false, .period = 4};
  job.probes = {{7, 8, 9}, {6}};
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(shape(pipeline.log()),
            "open0[10] 0@0+2 0@2+2|0@4+3|0@4+1 0@4+2 0@6+2|0@8+3|0@8+1 0@8+2|0@10+3|0@10+1 "
            "compact0 open1[2] 1@10+2! release1 release0 stop");
}

TEST(Batcher, SavesBehindCompactionsAndGoesOnFromThere) {
  BatchJob job = job_of(13, {2}, 1);
  job.compaction = {.document = true, .question = false, .period = 3};
  job.save_every = 6;
  PipelineModel whole(job, {});
  whole.run();
  EXPECT_EQ(whole.problem(), "");
  EXPECT_EQ(shape(whole.log()),
            "open0[13] 0@0+3 0@3+3 save0 0@6+3 0@9+3 save0 0@12+1 compact0 open1[2] 1@13+2! "
            "release1 release0 stop");
  job.saved_rows = 6;
  PipelineModel rest(job, {});
  rest.run();
  EXPECT_EQ(rest.problem(), "");
  EXPECT_EQ(shape(rest.log()),
            "open0[13] load0 0@6+3 0@9+3 save0 0@12+1 compact0 open1[2] 1@13+2! release1 release0 "
            "stop");
  EXPECT_THAT(rest.recorder().prefix_rows, ElementsAre(Pair(9, 13), Pair(12, 13), Pair(13, 13)));
}

TEST(Batcher, ASaveIsOfTheRowsThatWereSentBeforeIt) {
  struct Keeper final : Recorder {
    using Recorder::Recorder;
    void on_saved(std::size_t rows, std::vector<std::vector<std::byte>> parts) override {
      saves.emplace_back(rows, parts.size());
    }
    std::vector<std::pair<std::size_t, std::size_t>> saves;
  };
  BatchJob job = job_of(9, {}, 1);
  job.compaction = {.document = true, .question = false, .period = 4};
  job.save_every = 4;
  Keeper keeper(0);
  Batcher batcher(job, keeper);
  Step step;
  while (step.kind != StepKind::kSave) ASSERT_TRUE(batcher.next(step));
  batcher.on_saved({{}, {}});
  ASSERT_TRUE(batcher.next(step));
  EXPECT_THAT(keeper.saves, ElementsAre(Pair(4, 2)));
}

TEST(Batcher, AQuestionThatWasReadCompactsItsCopyAndTheDocumentGoes) {
  BatchJob job = job_of(5, {3, 2}, 2);
  job.compaction.question = true;
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  const std::string steps = shape(pipeline.log());
  EXPECT_THAT(steps, testing::HasSubstr("1@5+3!|2@5+1 compact1"));
  EXPECT_THAT(steps, testing::HasSubstr("2@6+1! release0 compact2"));
}

TEST(Batcher, CompactPositionsLeaveRoomForLongerAnswers) {
  BatchJob job = job_of(50, {3}, 100);
  job.context = 20;
  job.taken = 8;  // positions 11..19 for the answer
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.recorder().answers[0].size(), 10U);
}

TEST(Batcher, ContextEndsAnAnswer) {
  BatchJob job = job_of(5, {3}, 100);
  job.context = 10;  // positions 0..9: two rows of the answer, three tokens
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(pipeline.recorder().answers[0].size(), 3U);
  EXPECT_EQ(pipeline.recorder().reasons[0], FinishReason::kLength);
  EXPECT_EQ(pipeline.log()[3].capacity, 5U);
}

TEST(Batcher, StopTokenEndsAnAnswerAndIsNoPartOfIt) {
  BatchJob job = job_of(5, {3}, 6);
  const std::int32_t third = test::model_token(1, 9);
  ASSERT_NE(test::model_token(1, 7), third);
  ASSERT_NE(test::model_token(1, 8), third);
  job.questions[0].stop_tokens = {-5, third};
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_THAT(pipeline.recorder().answers[0],
              ElementsAre(test::model_token(1, 7), test::model_token(1, 8)));
  EXPECT_EQ(pipeline.recorder().reasons[0], FinishReason::kStop);
}

TEST(Batcher, ListenerMayEndAnAnswer) {
  PipelineModel pipeline(job_of(5, {3}, 6), {});
  pipeline.recorder().enough = 2;
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(pipeline.recorder().answers[0].size(), 2U);
  EXPECT_EQ(pipeline.recorder().reasons[0], FinishReason::kStop);
}

TEST(Batcher, LongestQuestionsOpenFirstAndOthersTakeTheirPlace) {
  BatchJob job = job_of(4, {1, 3, 2, 3}, 2);
  job.parallel = 2;
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_THAT(pipeline.recorder().opened, ElementsAre(1, 3, 2, 0));
  EXPECT_EQ(pipeline.checker().peak_rows(), 4U + 4 + 4);
}

TEST(Batcher, DecodesInAsManyEvenGroupsAsThereAreStages) {
  BatchJob job = job_of(4, {1, 1, 1, 1, 1, 1, 1}, 5);
  job.chunk = 16;
  job.stages = 3;
  PipelineModel pipeline(job, {.stages = 3, .in_flight = 2});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(pipeline.most_decode_flights(), 3U);
  std::vector<std::size_t> sizes;
  for (const Step& s : pipeline.log()) {
    if (s.kind == StepKind::kRows && s.rows.front().begin > 4) sizes.push_back(s.rows.size());
  }
  EXPECT_EQ(sizes.size(), 3U * 4);
  EXPECT_THAT(sizes, Each(testing::AnyOf(2U, 3U)));
}

TEST(Batcher, OneStageDecodesAllQuestionsInOneStep) {
  BatchJob job = job_of(4, {1, 1, 1, 1, 1}, 4);
  job.chunk = 16;
  PipelineModel pipeline(job, {});
  pipeline.run();
  EXPECT_EQ(pipeline.decode_busy()[0], 3U);
  EXPECT_EQ(pipeline.most_decode_flights(), 1U);
}

TEST(Batcher, FewerQuestionsThanStagesStillDecodeEachForItself) {
  BatchJob job = job_of(4, {1, 1}, 4);
  job.stages = 5;
  job.chunk = 16;
  PipelineModel pipeline(job, {.stages = 5});
  pipeline.run();
  EXPECT_EQ(pipeline.problem(), "");
  EXPECT_EQ(pipeline.most_decode_flights(), 2U);
}

// A question that is being read neither waits until all others are through nor holds them up.
TEST(Batcher, ReadingAndDecodingTakeTurns) {
  BatchJob job = job_of(4, {1, 20}, 1);
  job.questions[0].max_tokens = 50;
  job.chunk = 2;
  PipelineModel pipeline(job, {});
  pipeline.run();
  ASSERT_EQ(pipeline.problem(), "");
  std::string kinds;  // until the second question is read: d decodes the first, r reads the second
  for (const Step& s : pipeline.log()) {
    if (s.kind != StepKind::kRows || s.rows.front().sequence == 0) continue;
    const SequenceRows& r = s.rows.back();
    kinds += r.sequence == 2 ? 'r' : 'd';
    if (r.sequence == 2 && r.sample) break;
  }
  EXPECT_EQ(kinds, "rdrdrdrdrdrdrdrdrdrdr");
}

TEST(Batcher, WrongResultsAreBugs) {
  Recorder recorder(1);
  Batcher batcher(job_of(3, {2}, 4), recorder);
  const std::vector<Step> steps = before_results(batcher);
  const std::uint64_t sampling = steps.back().id;
  EXPECT_ANY_THROW(batcher.on_result({sampling + 1, {{1, 4, 7, 0}}}));
  EXPECT_ANY_THROW(batcher.on_result({0, {{1, 4, 7, 0}}}));
  EXPECT_NO_THROW(batcher.on_result({sampling, {{1, 4, 7, 0}}}));
  EXPECT_ANY_THROW(batcher.on_result({sampling, {{1, 4, 7, 0}}})) << "twice";
}

TEST(Batcher, TokenOfAnotherPositionIsABug) {
  Recorder recorder(1);
  Batcher batcher(job_of(3, {2}, 4), recorder);
  const std::uint64_t sampling = before_results(batcher).back().id;
  EXPECT_ANY_THROW(batcher.on_result({sampling, {{1, 5, 7, 0}}}));
}

TEST(Batcher, NothingComesAfterTheStop) {
  Recorder recorder(0);
  Batcher batcher(job_of(0, {}, 1), recorder);
  Step step;
  ASSERT_TRUE(batcher.next(step));
  EXPECT_EQ(step.kind, StepKind::kStop);
  EXPECT_ANY_THROW(batcher.next(step));
}

TEST(Batcher, RefusesAQuestionWithoutTokensOrOneThatDoesNotFit) {
  Recorder recorder(1);
  EXPECT_ANY_THROW(Batcher(job_of(3, {0}, 4), recorder));
  BatchJob job = job_of(3, {2}, 4);
  job.context = 4;
  EXPECT_ANY_THROW(Batcher(job, recorder));
}

}  // namespace
}  // namespace varve
