#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "tests/bench/bench.h"

namespace varve::bench {
namespace {

constexpr std::size_t kRows[] = {1, 8, 512};

std::vector<std::int32_t> counting(std::size_t count) {
  std::vector<std::int32_t> values(count);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

// Each verb below: what it moves, and a call of it on `rows` rows.

void rms_norm(benchmark::State& state, Bench& bench, std::size_t rows) {
  const Activations x(bench, rows, kHidden);
  const Activations y(bench, rows, kHidden);
  const Weight gain = test::vector_weight(*bench.ops, std::vector<float>(kHidden, 1.25F));
  measure(state, bench, {.bytes = x.bytes() + y.bytes()},
          [&](std::size_t) { bench.ops->rms_norm(x.view(), gain, 1e-5, y.view()); });
}

void rope(benchmark::State& state, Bench& bench, std::size_t rows) {
  const Activations x(bench, rows, kHidden);
  const Activations angles(bench, rows, kHeadDim);
  for (std::size_t r = 0; r < rows; ++r) {  // a rotation, or x would grow
    std::fill_n(angles.view().row(r), kHeadDim / 2, 0.6F);
    std::fill_n(angles.view().row(r) + kHeadDim / 2, kHeadDim / 2, 0.8F);
  }
  measure(state, bench, {.bytes = 2 * x.bytes() + angles.bytes()}, [&](std::size_t) {
    bench.ops->rope(x.view(), angles.view(), kHeadDim, RopeLayout::kHalves);
  });
}

void rope_angles(benchmark::State& state, Bench& bench, std::size_t rows) {
  const Activations angles(bench, rows, kHeadDim);
  const std::vector<std::int32_t> positions = counting(rows);
  std::vector<float> inv_freq;
  for (std::size_t i = 0; i < kHeadDim / 2; ++i) {
    inv_freq.push_back(std::pow(1e5F, -2 * static_cast<float>(i) / kHeadDim));
  }
  measure(state, bench, {.bytes = angles.bytes()},
          [&](std::size_t) { bench.ops->rope_angles(positions, inv_freq, angles.view()); });
}

void silu_mul(benchmark::State& state, Bench& bench, std::size_t rows) {
  const Activations gate(bench, rows, kFeedForward);
  const Activations up(bench, rows, kFeedForward);
  const Activations y(bench, rows, kFeedForward);
  measure(state, bench, {.bytes = 3 * y.bytes()},
          [&](std::size_t) { bench.ops->silu_mul(gate.view(), up.view(), y.view()); });
}

void add_rows_of(benchmark::State& state, Bench& bench, std::size_t rows) {
  const Activations x(bench, rows, kHidden);
  const Activations y(bench, rows, kHidden);
  measure(state, bench, {.bytes = 3 * y.bytes()},
          [&](std::size_t) { bench.ops->add(x.view(), y.view()); });
}

void append_rows(benchmark::State& state, Bench& bench, std::size_t rows) {
  const Activations k(bench, rows, kKeyColumns);
  const Activations v(bench, rows, kKeyColumns);
  test::CachedRows cache(DType::kF16, kKeyHeads, kHeadDim, rows);
  const std::vector<std::int32_t> positions = counting(rows);
  const auto written = static_cast<double>(cache.keys().size() + cache.values().size());
  measure(state, bench, {.bytes = k.bytes() + v.bytes() + written}, [&](std::size_t) {
    bench.ops->append_rows(k.view(), v.view(), positions, cache.store(), 0);
  });
}

void encode_rows(benchmark::State& state, Bench& bench, std::size_t rows) {
  const Activations k(bench, rows, kKeyColumns);
  const Activations v(bench, rows, kKeyColumns);
  test::CachedRows from(DType::kF16, kKeyHeads, kHeadDim, rows);
  test::CachedRows into(DType::kInt4, kKeyHeads, kHeadDim, rows);
  bench.ops->append_rows(k.view(), v.view(), counting(rows), from.store(), 0);
  const std::size_t read = from.keys().size() + from.values().size();
  const std::size_t written = into.keys().size() + into.values().size();
  measure(state, bench, {.bytes = static_cast<double>(read + written)},
          [&](std::size_t) { bench.ops->encode_rows(from.view(), into.store()); });
}

void embed(benchmark::State& state, Bench& bench, std::size_t rows) {
  const test::StoredWeight stored(DType::kQ4_1, kVocabulary, kHidden, bench.random);
  const Weight table = bench.ops->prepare(stored.view());
  const Activations out(bench, rows, kHidden);
  std::vector<std::int32_t> tokens;
  for (std::size_t t = 0; t < rows; ++t) {
    tokens.push_back(static_cast<std::int32_t>(bench.random.below(kVocabulary)));
  }
  const auto read = static_cast<double>(rows * row_bytes(DType::kQ4_1, kHidden));
  measure(state, bench, {.bytes = out.bytes() + read},
          [&](std::size_t) { bench.ops->embed(tokens, table, out.view()); });
}

}  // namespace

void add_rows(Bench& bench) {
  using Verb = void (*)(benchmark::State & state, Bench & bench, std::size_t rows);
  constexpr std::pair<const char*, Verb> kVerbs[] = {{"rms_norm", rms_norm},
                                                     {"rope", rope},
                                                     {"rope_angles", rope_angles},
                                                     {"silu_mul", silu_mul},
                                                     {"add", add_rows_of},
                                                     {"append_rows/f16", append_rows},
                                                     {"encode_rows/int4", encode_rows},
                                                     {"embed/q4_1", embed}};
  for (const auto& [name, verb] : kVerbs) {
    for (const std::size_t rows : kRows) {
      add(fmt::format("{}/T:{}", name, rows),
          [verb = verb, rows, &bench](benchmark::State& state) { verb(state, bench, rows); });
    }
  }
}

}  // namespace varve::bench
