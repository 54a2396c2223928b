// The model's arithmetic against transformers in float32 (tests/golden): every family on a tiny
// random model, from Hugging Face folders and from GGUF, and SmolLM2 on 4096 tokens of the Bible.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "common/io/regular_file.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/golden.h"
#include "tests/support/temp_folder.h"
#include "worker/cache/stage_cache.h"
#include "worker/model/stage_model.h"

namespace varve {
namespace {

using OnLogits = std::function<void(std::size_t first_row, ConstMatrix logits)>;

// A whole model in one stage, one sequence.
class WholeModel {
 public:
  WholeModel(const std::string& path, const std::string& backend, DType kv, std::size_t capacity,
             std::size_t chunk)
      : ops_(make_ops(backend, std::max(std::thread::hardware_concurrency(), 1U))),
        model_(load_model_header(path)),
        stage_(model_, {0, model_.config().layers}, chunk, chunk, *ops_),
        cache_(model_.config(), {0, model_.config().layers}, kv, *ops_),
        chunk_(chunk) {
    cache_.open(0, kNoSequence, capacity);
  }

  /// Feeds tokens behind those that were fed before; `on_logits` gets every row's logits.
  void feed(std::span<const std::int32_t> tokens, const OnLogits& on_logits) {
    for (std::size_t at = 0; at < tokens.size(); at += chunk_) {
      step(tokens.subspan(at, std::min(chunk_, tokens.size() - at)), on_logits);
    }
  }
  std::size_t vocab() const { return model_.config().vocab; }

 private:
  void step(std::span<const std::int32_t> tokens, const OnLogits& on_logits) {
    const std::vector<SequenceRows> rows = {
        {0, static_cast<std::uint32_t>(done_), static_cast<std::uint32_t>(tokens.size()), false}};
    std::vector<std::int32_t> positions(tokens.size());
    std::vector<std::size_t> all(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      positions[i] = static_cast<std::int32_t>(done_ + i);
      all[i] = i;
    }
    stage_.embed(tokens);
    const ModelConfig& c = model_.config();
    stage_.run(positions, [&](std::size_t layer, ConstMatrix q, ConstMatrix k, ConstMatrix v,
                              std::optional<std::size_t> window, Partial out) {
      const AttendParams params{.q_heads = c.q_heads,
                                .scale = 1 / std::sqrt(static_cast<float>(c.head_dim)),
                                .window = window};
      cache_.attend(layer, rows, positions, q, k, v, params, out);
    });
    on_logits(done_, stage_.logits(all));
    done_ += tokens.size();
  }

  std::unique_ptr<Ops> ops_;
  Model model_;
  StageModel stage_;
  StageCache cache_;
  std::size_t chunk_;
  std::size_t done_ = 0;
};

double largest_difference(const std::string& path, const std::string& backend, const Golden& golden,
                          const std::string& logits) {
  const auto tokens = golden.i32("tokens");
  const auto expected = golden.f32(logits);
  WholeModel model(path, backend, DType::kF32, tokens.size(), 40);
  double worst = 0;
  model.feed(tokens, [&](std::size_t first, ConstMatrix rows) {
    for (std::size_t r = 0; r < rows.rows; ++r) {
      for (std::size_t i = 0; i < rows.cols; ++i) {
        const double want = expected[(first + r) * model.vocab() + i];
        worst = std::max(worst, std::abs(want - static_cast<double>(rows.row(r)[i])));
      }
    }
  });
  return worst;
}

struct TinyCase {
  std::string folder;
  std::string file;    // empty: the Hugging Face folder
  std::string logits;  // the reference's name in the golden
};

std::vector<TinyCase> tiny_cases() {
  std::vector<TinyCase> cases;
  for (const char* family :
       {"llama", "llama_rope_scaled", "llama_tied", "mistral", "qwen2", "qwen3"}) {
    const auto folder = golden_folder() / "models" / family;
    cases.push_back({family, "", "logits"});
    for (const auto& [file, logits] :
         {std::pair("f32.gguf", "logits_f32"), std::pair("f16.gguf", "logits_f16")}) {
      if (std::filesystem::exists(folder / file)) cases.push_back({family, file, logits});
    }
  }
  return cases;
}

class TinyModels : public testing::TestWithParam<std::tuple<TinyCase, std::string>> {};

TEST_P(TinyModels, LogitsAreThoseOfTransformers) {
  const auto& [c, backend] = GetParam();
  const auto folder = golden_folder() / "models" / c.folder;
  const Golden golden = Golden::load(folder / "reference.safetensors");
  const std::string path = c.file.empty() ? folder.string() : (folder / c.file).string();
  EXPECT_LT(largest_difference(path, backend, golden, c.logits), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Golden, TinyModels,
                         testing::Combine(testing::ValuesIn(tiny_cases()),
                                          testing::Values("reference", "cpu")),
                         [](const auto& test) {
                           const TinyCase& c = std::get<0>(test.param);
                           return c.folder +
                                  (c.file.empty() ? "_hf_" : "_" + c.file.substr(0, 3) + "_") +
                                  std::get<1>(test.param);
                         });

// The file with 64 bytes, a multiple of its alignment, of metadata more: a window of 16.
std::vector<std::byte> with_window(const std::filesystem::path& path) {
  std::string bytes = read_text_file(path, 1 << 20);
  constexpr std::size_t kCount =
      16;  // where the number of entries stands, the last of the preamble
  std::uint64_t count = 0;
  std::memcpy(&count, &bytes.at(kCount), sizeof count);
  count += 2;
  std::memcpy(&bytes.at(kCount), &count, sizeof count);
  ByteBuffer more;
  more.put_string("llama.attention.sliding_window").put(gguf_number<std::uint32_t>()).put(16U);
  more.put_string("test.").put(gguf_number<std::uint8_t>()).put(std::uint8_t{0});
  EXPECT_EQ(more.bytes().size(), 64U);
  bytes.insert(kCount + sizeof count, reinterpret_cast<const char*>(more.bytes().data()), 64);
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

TEST(MistralAsLlama, KeepsTheWindowThatItsGgufFileNames) {
  const auto folder = golden_folder() / "models/mistral";
  const Golden golden = Golden::load(folder / "reference.safetensors");
  const TempFolder scratch;
  write_file(scratch / "m.gguf", with_window(folder / "f16.gguf"));
  EXPECT_LT(largest_difference((scratch / "m.gguf").string(), "reference", golden, "logits"), 1e-4);
}

// log(sum(exp(x))) in double.
double log_sum_exp(std::span<const double> x) {
  const double top = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const double v : x) sum += std::exp(v - top);
  return top + std::log(sum);
}

// KL(reference || ours) of one position.
double divergence(std::span<const float> reference, const float* ours) {
  const std::vector<double> p(reference.begin(), reference.end());
  const std::vector<double> q(ours, ours + reference.size());
  const double norm_p = log_sum_exp(p);
  const double norm_q = log_sum_exp(q);
  double kl = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    kl += std::exp(p[i] - norm_p) * ((p[i] - norm_p) - (q[i] - norm_q));
  }
  return kl;
}

class SmolLm2 : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    const char* path = std::getenv("VARVE_SMOLLM2");
    if (path == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
    path_ = path;
  }
  std::string path_;
};

TEST_P(SmolLm2, DivergenceAndArgmaxOn4096TokensOfTheBible) {
  const Golden golden = Golden::load(golden_folder() / "smollm2/bible.safetensors");
  const auto tokens = golden.i32("tokens");
  const auto argmax = golden.i32("argmax");
  const auto hidden = golden.f32("hidden");  // [512, 576]: of positions 7, 15, 23, ...
  const std::size_t stride = tokens.size() / golden.shape("hidden")[0];
  const std::size_t width = golden.shape("hidden")[1];
  WholeModel model(path_, "cpu", GetParam(), tokens.size(), 512);

  // The reference's logits from its own last hidden states, through the head as it is stored.
  const auto ops = make_ops("cpu", std::max(std::thread::hardware_concurrency(), 1U));
  const ModelFiles files = open_model(path_);
  const TensorEntry* table = files.tensors->find("token_embd.weight");
  const Weight head = ops->prepare({table->data, table->dtype, model.vocab(), width});
  std::vector<float> reference(model.vocab());

  double kl = 0;
  std::size_t kl_positions = 0;
  std::size_t same = 0;
  model.feed(tokens, [&](std::size_t first, ConstMatrix rows) {
    for (std::size_t r = 0; r < rows.rows; ++r) {
      const std::size_t at = first + r;
      const float* row = rows.row(r);
      same += std::max_element(row, row + rows.cols) - row == argmax[at] ? 1 : 0;
      if (at % stride != stride - 1) continue;
      const ConstMatrix h{hidden.data() + at / stride * width, 1, width, width};
      ops->linear(h, head, {}, Matrix{reference.data(), 1, model.vocab(), model.vocab()});
      kl += divergence(reference, row);
      ++kl_positions;
    }
  });
  const double mean_kl = kl / static_cast<double>(kl_positions);
  const double share = static_cast<double>(same) / static_cast<double>(tokens.size());
  RecordProperty("mean_kl", std::to_string(mean_kl));
  std::printf("mean KL %.3g over %zu positions, same argmax %.4f %%\n", mean_kl, kl_positions,
              100 * share);
  EXPECT_LT(mean_kl, 1e-4);
  EXPECT_GE(share, 0.999);
}

TEST_P(SmolLm2, GreedyContinuationsOfEightPrompts) {
  const Golden golden = Golden::load(golden_folder() / "smollm2/greedy.safetensors");
  const auto tokens = golden.i32("tokens");  // [8, 64]
  const std::size_t length = golden.shape("tokens")[1];
  for (std::size_t prompt = 0; prompt < golden.shape("tokens")[0]; ++prompt) {
    const auto start = golden.i32("prompt" + std::to_string(prompt));
    WholeModel model(path_, "cpu", GetParam(), start.size() + length, 64);
    std::int32_t next = 0;
    const auto choose = [&next](std::size_t, ConstMatrix rows) {
      const float* row = rows.row(rows.rows - 1);
      next = static_cast<std::int32_t>(std::max_element(row, row + rows.cols) - row);
    };
    model.feed(start, choose);
    std::vector<std::int32_t> answer;
    while (answer.size() < length) {
      answer.push_back(next);
      model.feed(std::vector<std::int32_t>{next}, choose);
    }
    const auto expected = tokens.subspan(prompt * length, length);
    EXPECT_TRUE(std::equal(answer.begin(), answer.end(), expected.begin())) << "prompt " << prompt;
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, SmolLm2, testing::Values(DType::kF32, DType::kF16),
                         [](const auto& test) { return std::string(dtype_info(test.param).name); });

}  // namespace
}  // namespace varve
