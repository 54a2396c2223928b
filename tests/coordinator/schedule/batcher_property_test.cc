// Random jobs on random pipelines, against an oracle of the steps and one of the answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "common/plan/question.h"
#include "tests/coordinator/schedule/pipeline_model.h"

namespace varve {
namespace {

using test::model_token;
using test::PipelineModel;
using test::PipelineSpec;

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  std::uint32_t operator()(std::uint32_t least, std::uint32_t most) {
    return least + static_cast<std::uint32_t>(random_() % (most - least + 1));
  }

 private:
  std::mt19937 random_;
};

std::vector<std::int32_t> random_tokens(Dice& dice, std::size_t count) {
  std::vector<std::int32_t> tokens(count);
  for (std::int32_t& t : tokens) t = static_cast<std::int32_t>(dice(0, 999));
  return tokens;
}

BatchJob random_job(Dice& dice) {
  BatchJob job;
  job.prefix = random_tokens(dice, dice(0, 3) == 0 ? 0 : dice(1, 60));
  const std::uint32_t questions = dice(0, 12);
  for (std::uint32_t i = 0; i < questions; ++i) {
    BatchQuestion q;
    q.tokens = random_tokens(dice, dice(1, 25));
    q.max_tokens = dice(1, 20);
    q.sampling.stream = i;
    for (std::uint32_t s = dice(0, 2); s > 0; --s) {
      q.stop_tokens.push_back(static_cast<std::int32_t>(dice(0, 39)));
    }
    job.questions.push_back(q);
  }
  job.chunk = dice(1, 17);
  job.parallel = dice(1, 9);
  job.stages = dice(1, 6);
  job.context = 90;
  return job;
}

PipelineSpec random_spec(Dice& dice, const BatchJob& job, unsigned seed) {
  return {.stages = job.stages,
          .in_flight = dice(1, 4),
          .most_delay = dice(0, 1) == 0 ? 0 : dice(1, 12),
          .in_order = dice(0, 1) == 0,
          .seed = seed};
}

struct Answer {
  std::vector<std::int32_t> tokens;
  FinishReason reason = FinishReason::kLength;
};

// What one question gets when it is asked alone.
Answer alone(const BatchJob& job, std::size_t question) {
  const BatchQuestion& q = job.questions[question];
  const std::size_t limit =
      answer_limit(job.prefix.size(), q.tokens.size(), q.max_tokens, job.context);
  auto position = static_cast<std::uint32_t>(job.prefix.size() + q.tokens.size() - 1);
  Answer answer;
  while (answer.tokens.size() < limit) {
    const std::int32_t token = model_token(static_cast<std::uint32_t>(question) + 1, position++);
    if (std::count(q.stop_tokens.begin(), q.stop_tokens.end(), token) > 0) {
      answer.reason = FinishReason::kStop;
      break;
    }
    answer.tokens.push_back(token);
  }
  return answer;
}

std::size_t planned_peak(const BatchJob& job) {
  std::vector<std::size_t> rows;
  for (const BatchQuestion& q : job.questions) {
    rows.push_back(question_rows(q.tokens.size(), answer_limit(job.prefix.size(), q.tokens.size(),
                                                               q.max_tokens, job.context)));
  }
  std::sort(rows.begin(), rows.end(), std::greater<>());
  rows.resize(std::min<std::size_t>(rows.size(), job.parallel));
  std::size_t peak = job.prefix.size();
  for (std::size_t r : rows) peak += r;
  return peak;
}

class BatcherSeeds : public testing::TestWithParam<unsigned> {};

TEST_P(BatcherSeeds, EveryRowOnceEveryAnswerAsIfAlone) {
  Dice dice(GetParam());
  const BatchJob job = random_job(dice);
  PipelineModel pipeline(job, random_spec(dice, job, GetParam()));
  pipeline.run();
  ASSERT_EQ(pipeline.problem(), "");
  for (std::size_t i = 0; i < job.questions.size(); ++i) {
    const Answer want = alone(job, i);
    EXPECT_EQ(pipeline.recorder().answers[i], want.tokens) << "question " << i;
    EXPECT_EQ(pipeline.recorder().reasons[i], want.reason) << "question " << i;
  }
}

TEST_P(BatcherSeeds, PeakIsThePlannedOne) {
  Dice dice(GetParam());
  const BatchJob job = random_job(dice);
  PipelineModel pipeline(job, random_spec(dice, job, GetParam()));
  pipeline.run();
  EXPECT_EQ(pipeline.checker().peak_rows(), planned_peak(job));
}

TEST_P(BatcherSeeds, StepsUnderWayAreBoundedByTheGroups) {
  Dice dice(GetParam());
  const BatchJob job = random_job(dice);
  PipelineModel pipeline(job, random_spec(dice, job, GetParam()));
  pipeline.run();
  const std::size_t open = std::min<std::size_t>(job.parallel, job.questions.size());
  const std::size_t for_rows = (open + job.chunk - 1) / job.chunk;
  EXPECT_LE(pipeline.most_decode_flights(), std::max<std::size_t>(job.stages, for_rows));
}

TEST_P(BatcherSeeds, SameResultsInTheSameOrderGiveTheSameSteps) {
  const auto steps = [] {
    Dice dice(GetParam());
    const BatchJob job = random_job(dice);
    PipelineModel pipeline(job, random_spec(dice, job, GetParam()));
    pipeline.run();
    std::vector<std::byte> bytes;
    for (const Step& s : pipeline.log()) {
      const std::vector<std::byte> one = to_bytes(s);
      bytes.insert(bytes.end(), one.begin(), one.end());
    }
    return bytes;
  };
  EXPECT_EQ(steps(), steps());
}

INSTANTIATE_TEST_SUITE_P(Random, BatcherSeeds, testing::Range(1U, 301U));

struct Load {
  std::size_t stages;
  std::size_t questions;
  std::size_t in_flight;
};

class BatcherLoad : public testing::TestWithParam<Load> {};

// With as many questions as stages, and tokens that come back at once, no stage idles but for the
// way in and out of the pipeline.
TEST_P(BatcherLoad, DecodingFillsThePipeline) {
  const Load load = GetParam();
  BatchJob job;
  job.prefix.assign(16, 1);
  for (std::size_t i = 0; i < load.questions; ++i) {
    BatchQuestion q;
    q.tokens = {1, 2, 3};
    q.max_tokens = 50;
    job.questions.push_back(q);
  }
  job.chunk = 256;
  job.parallel = static_cast<std::uint32_t>(load.questions);
  job.stages = static_cast<std::uint32_t>(load.stages);
  job.context = 1000;
  PipelineModel pipeline(job, {.stages = load.stages, .in_flight = load.in_flight});
  pipeline.run();
  ASSERT_EQ(pipeline.problem(), "");
  const std::size_t steps = 49 * load.stages;  // one group per stage, all answers of one length
  EXPECT_EQ(pipeline.decode_busy()[0], steps);
  EXPECT_LE(pipeline.ticks() - pipeline.decode_begin(), steps + load.stages);
}

INSTANTIATE_TEST_SUITE_P(Loads, BatcherLoad,
                         testing::Values(Load{1, 1, 1}, Load{1, 8, 1}, Load{2, 2, 1}, Load{2, 7, 2},
                                         Load{3, 3, 1}, Load{4, 8, 2}, Load{5, 13, 1},
                                         Load{4, 64, 4}));

// The prefix goes through without a gap: C chunks, P stages, C + P - 1 ticks.
TEST(BatcherPrefill, FillsThePipelineWithoutAFeedbackEdge) {
  for (const std::size_t stages : {1U, 2U, 5U}) {
    for (const std::size_t in_flight : {1U, 3U}) {
      BatchJob job;
      job.prefix.assign(20 * 8 - 3, 1);
      job.chunk = 8;
      job.stages = static_cast<std::uint32_t>(stages);
      job.context = 1000;
      PipelineModel pipeline(job, {.stages = stages, .in_flight = in_flight});
      pipeline.run();
      ASSERT_EQ(pipeline.problem(), "");
      EXPECT_EQ(pipeline.ticks(), 20 + stages - 1 + 1) << "and one to see that it has ended";
      for (const std::size_t busy : pipeline.busy()) EXPECT_EQ(busy, 20U);
    }
  }
}

}  // namespace
}  // namespace varve
