#include <fmt/format.h>

#include "tests/bench/bench.h"

namespace varve::bench {
namespace {

using test::StoredWeight;

struct Shape {
  const char* name;
  std::size_t outputs;
  std::size_t inputs;
};
constexpr Shape kShapes[] = {{"q_or_o", kHidden, kHidden},
                             {"k_or_v", kKeyColumns, kHidden},
                             {"gate_or_up", kFeedForward, kHidden},
                             {"down", kHidden, kFeedForward},
                             {"head", kVocabulary, kHidden}};
constexpr std::size_t kRows[] = {1, 2, 4, 8, 64, 512};

struct Scene {
  StoredWeight stored;  // a backend may read it where it is
  std::vector<Weight> weights;
};

Scene make_scene(Bench& bench, DType dtype, const Shape& shape) {
  Scene scene{{dtype, shape.outputs, shape.inputs, bench.random}, {}};
  const std::size_t copies = cold_copies(scene.stored.view().bytes());
  for (std::size_t i = 0; i < copies; ++i) {
    scene.weights.push_back(bench.ops->prepare(scene.stored.view()));
  }
  return scene;
}

void run(benchmark::State& state, Bench& bench, const Scene& scene, std::size_t rows,
         Products products) {
  const TensorView w = scene.stored.view();
  const Activations x(bench, rows, w.cols);
  const Activations y(bench, rows, w.rows);
  const Work work{2.0 * static_cast<double>(rows) * static_cast<double>(w.rows * w.cols),
                  static_cast<double>(w.bytes()) + x.bytes() + y.bytes()};
  measure(state, bench, work, [&](std::size_t i) {
    bench.ops->linear(x.view(), {scene.weights[i % scene.weights.size()], y.view()}, products);
  });
}

}  // namespace

void add_linear(Bench& bench) {
  const auto last = std::make_shared<LastScene<Scene>>();
  for (const DType dtype : test::kAllTypes) {
    const DTypeInfo& info = dtype_info(dtype);
    for (const Shape& shape : kShapes) {
      if (shape.inputs % info.block_size != 0) continue;  // no such weight can be stored
      const std::string weight = fmt::format("linear/{}/{}", info.name, shape.name);
      for (const std::size_t rows : kRows) {
        for (const Products products : {Products::kFloat, Products::kSplit}) {
          const char* how = products == Products::kSplit ? "split/" : "";
          add(fmt::format("{}/{}T:{}", weight, how, rows), [=, &bench,
                                                            &shape](benchmark::State& state) {
            run(state, bench, last->get(weight, [&] { return make_scene(bench, dtype, shape); }),
                rows, products);
          });
        }
      }
    }
  }
}

}  // namespace varve::bench
