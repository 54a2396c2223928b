#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/bench/bench.h"

namespace varve::bench {
namespace {

constexpr std::size_t kAnswerRows = 32;

// `queries` rows look at a segment. The last of them are its own last rows, or each belongs to a
// question of its own: it sees the whole segment, which all share, and an answer of kAnswerRows.
struct Case {
  const char* name;
  std::size_t queries;
  std::size_t segment_rows;
  bool questions = false;
};
constexpr Case kCases[] = {{"prefill_512@0", 512, 512},
                           {"prefill_512@4096", 512, 4096 + 512},
                           {"decode_1@4096", 1, 4096},
                           {"decode_8@4096", 8, 4096},
                           {"questions_8@4096", 8, 4096, true}};
// The mass that the last rows of a segment give to it.
constexpr Case kMassCases[] = {
    {"mass_512@4096", 512, 4096}, {"mass_64@4096", 64, 4096}, {"mass_1@4096", 1, 4096}};

// One layer's cache, laid out as a segment of a run.
class Cache {
 public:
  Cache(Bench& bench, DType dtype, std::size_t rows)
      : side_(kKeyHeads * key_bytes(dtype, rows, kHeadDim)),
        buffer_(bench.ops->allocate(2 * side_ + rows * sizeof(std::int32_t))),
        dtype_(dtype),
        heads_(kKeyHeads) {
    for (std::size_t h = 0; h < kKeyHeads; ++h) {
      heads_[h] = {static_cast<std::uint32_t>(h * stored_rows(dtype, rows)),
                   static_cast<std::uint32_t>(rows)};
    }
  }

  SegmentStore store() const {
    auto* keys = buffer_.as<std::byte>();
    auto* positions = reinterpret_cast<std::int32_t*>(keys + 2 * side_);
    return {dtype_, keys, keys + side_, positions, true, heads_, kHeadDim};
  }
  SegmentView view() const { return store().view(); }
  std::size_t bytes() const { return buffer_.bytes(); }

 private:
  std::size_t side_;
  Buffer buffer_;
  DType dtype_;
  std::vector<HeadRows> heads_;
};

Cache random_cache(Bench& bench, DType dtype, std::size_t rows, std::size_t first_position) {
  Cache cache(bench, dtype, rows);
  if (is_grouped(dtype)) {
    bench.ops->encode_rows(random_cache(bench, DType::kF16, rows, first_position).view(),
                           cache.store());
    return cache;
  }
  const Activations k(bench, rows, kKeyHeads * kHeadDim);
  const Activations v(bench, rows, kKeyHeads * kHeadDim);
  std::vector<std::int32_t> positions(rows);
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(first_position));
  bench.ops->append_rows(k.view(), v.view(), positions, cache.store(), 0);
  return cache;
}

struct Scene {
  std::vector<Cache> segments;  // cold copies
  std::vector<Cache> answers;   // [queries] or none
};

Scene make_scene(Bench& bench, DType dtype, const Case& c) {
  Scene scene;
  scene.segments.push_back(random_cache(bench, dtype, c.segment_rows, 0));
  const std::size_t copies = cold_copies(scene.segments.front().bytes());
  while (scene.segments.size() < copies) {
    scene.segments.push_back(random_cache(bench, dtype, c.segment_rows, 0));
  }
  for (std::size_t i = 0; c.questions && i < c.queries; ++i) {
    scene.answers.push_back(random_cache(bench, dtype, kAnswerRows, c.segment_rows));
  }
  return scene;
}

std::vector<std::int32_t> query_positions(const Case& c) {
  std::vector<std::int32_t> positions(c.queries);
  if (c.questions) {
    std::fill(positions.begin(), positions.end(),
              static_cast<std::int32_t>(c.segment_rows + kAnswerRows - 1));
  } else {
    std::iota(positions.begin(), positions.end(),
              static_cast<std::int32_t>(c.segment_rows - c.queries));
  }
  return positions;
}

// Pairs of a query and a key that it sees.
double visible_pairs(const Case& c) {
  double visible = 0;
  for (const std::int32_t p : query_positions(c)) visible += p + 1;
  return visible;
}

Work work_of(const Case& c, const Scene& scene, const Activations& q) {
  std::size_t bytes = scene.segments.front().bytes();
  for (const Cache& answer : scene.answers) bytes += answer.bytes();
  // Two products of D multiply-adds for each head of each pair.
  return {4.0 * kHeads * kHeadDim * visible_pairs(c), static_cast<double>(bytes) + 2 * q.bytes()};
}

// One product, and of the segment only the keys.
Work mass_work_of(const Case& c, const Scene& scene, const Activations& q,
                  const Activations& mass) {
  const auto keys = static_cast<double>(scene.segments.front().bytes()) / 2;
  return {2.0 * kHeads * kHeadDim * visible_pairs(c), keys + q.bytes() + 2 * mass.bytes()};
}

AttendParams attend_params() {
  return {.q_heads = kHeads, .scale = 1 / std::sqrt(float{kHeadDim})};
}

void run(benchmark::State& state, Bench& bench, const Case& c, const Scene& scene) {
  const Activations q(bench, c.queries, kHeads * kHeadDim);
  const Activations out(bench, c.queries, kHeads * kHeadDim);
  const Activations lse(bench, c.queries, kHeads);
  const Partial partial{out.view(), lse.view()};
  const AttendParams params = attend_params();
  const std::vector<std::int32_t> positions = query_positions(c);
  std::vector<AttendItem> items{{0, c.queries, scene.segments.front().view()}};
  for (std::size_t i = 0; i < scene.answers.size(); ++i) {
    items.push_back({i, 1, scene.answers[i].view()});
  }
  measure(state, bench, work_of(c, scene, q), [&](std::size_t i) {
    items.front().segment = scene.segments[i % scene.segments.size()].view();
    bench.ops->clear(partial);
    bench.ops->attend(q.view(), positions, items, params, partial);
  });
}

void run_mass(benchmark::State& state, Bench& bench, const Case& c, const Scene& scene) {
  const Activations q(bench, c.queries, kHeads * kHeadDim);
  const Activations out(bench, c.queries, kHeads * kHeadDim);
  const Activations lse(bench, c.queries, kHeads);
  const Activations mass(bench, kKeyHeads, c.segment_rows);
  const Partial partial{out.view(), lse.view()};
  const std::vector<std::int32_t> positions = query_positions(c);
  AttendItem item{0, c.queries, scene.segments.front().view()};
  // The copies hold other numbers of the same distribution: nearly the same sums.
  bench.ops->clear(partial);
  bench.ops->attend(q.view(), positions, {&item, 1}, attend_params(), partial);
  std::fill_n(mass.view().data, kKeyHeads * c.segment_rows, 0.0F);
  measure(state, bench, mass_work_of(c, scene, q, mass), [&](std::size_t i) {
    item.segment = scene.segments[i % scene.segments.size()].view();
    bench.ops->add_mass(q.view(), positions, item, attend_params(), lse.view(), mass.view());
  });
}

}  // namespace

void add_attend(Bench& bench) {
  const auto last = std::make_shared<LastScene<Scene>>();
  const auto add_case = [&bench, last](DType dtype, const Case& c, const auto& run_case) {
    const std::string name = fmt::format("attend/{}/{}", dtype_info(dtype).name, c.name);
    add(name, [=, &bench, &c](benchmark::State& state) {
      run_case(state, bench, c, last->get(name, [&] { return make_scene(bench, dtype, c); }));
    });
  };
  for (const DType dtype : test::kCachedTypes) {
    for (const Case& c : kCases) add_case(dtype, c, run);
    for (const Case& c : kMassCases) add_case(dtype, c, run_mass);
  }
}

}  // namespace varve::bench
