#include "tests/cuda_on_cpu/emulator/samples/sample.h"

#include <algorithm>

#include "tests/cuda_on_cpu/emulator/schedule.h"

namespace varve::samples {
namespace {

double value(const std::vector<__nv_bfloat16>& numbers, int i) {
  return __bfloat162float(numbers[static_cast<std::size_t>(i)]);
}

double dot(const std::vector<__nv_bfloat16>& a, int i, const std::vector<__nv_bfloat16>& b, int j) {
  double sum = 0;
  for (int d = 0; d < kHeadDim; ++d) sum += value(a, i + d) * value(b, j + d);
  return sum;
}

}  // namespace

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  emulator::Random random(seed);
  std::vector<float> numbers(count);
  for (float& x : numbers) x = static_cast<float>(random.next() % 2001) / 1000.0F - 1.0F;
  return numbers;
}

std::vector<__nv_bfloat16> random_bf16(std::size_t count, unsigned seed) {
  const std::vector<float> floats = random_floats(count, seed);
  std::vector<__nv_bfloat16> numbers(count);
  std::transform(floats.begin(), floats.end(), numbers.begin(),
                 [](float x) { return __float2bfloat16(x); });
  return numbers;
}

AttentionResult attend_in_double(AttentionShape shape, const std::vector<__nv_bfloat16>& q,
                                 const std::vector<__nv_bfloat16>& k,
                                 const std::vector<__nv_bfloat16>& v) {
  AttentionResult result;
  for (int i = 0; i < shape.queries * shape.heads; ++i) {
    const int kv_head = i % shape.heads / (shape.heads / shape.kv_heads);
    const int seen = shape.keys - shape.queries + i / shape.heads + 1;
    std::vector<double> out(kHeadDim);
    double sum = 0;
    for (int key = 0; key < seen; ++key) {
      const int row = (key * shape.kv_heads + kv_head) * kHeadDim;
      const double weight = std::exp(dot(q, i * kHeadDim, k, row) * kScale);
      sum += weight;
      for (int d = 0; d < kHeadDim; ++d) {
        out[static_cast<std::size_t>(d)] += weight * value(v, row + d);
      }
    }
    for (const double x : out) result.out.push_back(x / sum);
    result.lse.push_back(std::log(sum));
  }
  return result;
}

Outcome run_sample(Bug bug) {
  switch (bug) {
    case Bug::kNone: {
      Outcome all;
      for (const auto run : {run_row_norm, run_select_top, run_prefill, run_decode}) {
        const Outcome one = run(bug);
        all.error = std::max(all.error, one.error);
        all.append(one.bytes);
      }
      return all;
    }
    case Bug::kPlainAdd:
    case Bug::kSkippedBarrier:
    case Bug::kNoBarrierBeforeWrite:
      return run_select_top(bug);
    case Bug::kOneKeyTooMany:
    case Bug::kOneGroupTooFew:
    case Bug::kNoBarrierAfterWait:
    case Bug::kNoBarrierBeforeReuse:
    case Bug::kWrongFragment:
    case Bug::kNoZeroFill:
      return run_prefill(bug);
    case Bug::kNextElement:
    case Bug::kMisaligned:
    case Bug::kOneForAllBlocks:
      return run_decode(bug);
    default:
      return run_row_norm(bug);
  }
}

}  // namespace varve::samples
