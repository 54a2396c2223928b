#include "common/model/gguf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/model/config_fields.h"
#include "common/model/model_files.h"

namespace varve {
namespace {

constexpr const char* kRopeFactors = "rope_freqs.weight";
constexpr std::size_t kMostName = 100;  // bytes

// Looks up "{arch}.{key}".
class GgufFields final : public FieldSource {
 public:
  GgufFields(const GgufMetadata& metadata, std::string prefix)
      : metadata_(metadata), prefix_(std::move(prefix)) {}

  Found<std::uint64_t> u64(std::string_view key) const override {
    return look_up<std::uint64_t>(key, scalar_or_constant_array);
  }
  Found<double> f64(std::string_view key) const override { return look_up<double>(key, as_f64); }
  Found<bool> boolean(std::string_view key) const override { return look_up<bool>(key, as_bool); }
  Found<std::string> string(std::string_view key) const override {
    return look_up<std::string>(key, as_string);
  }

 private:
  template <class T, class Convert>
  Found<T> look_up(std::string_view key, Convert convert) const {
    const GgufValue* value = metadata_.find(prefix_ + std::string(key));
    if (value == nullptr) return {};
    Found<T> found{.present = true, .value = {}, .text = describe(*value)};
    if (const auto converted = convert(*value)) found.value = T(*converted);
    return found;
  }

  // Some writers give one number per layer; varve computes with layers that are alike.
  static std::optional<std::uint64_t> scalar_or_constant_array(const GgufValue& value) {
    const auto list = as_i64s(value);
    if (!list) return as_u64(value);
    if (list->empty() || list->front() < 0) return std::nullopt;
    const auto differs = [&](std::int64_t n) { return n != list->front(); };
    if (std::ranges::any_of(*list, differs)) return std::nullopt;
    return static_cast<std::uint64_t>(list->front());
  }

  const GgufMetadata& metadata_;
  std::string prefix_;
};

class GgufConfigReader {
 public:
  GgufConfigReader(const GgufFile& file, std::string arch)
      : file_(file),
        arch_(std::move(arch)),
        report_(file.metadata().path()),
        source_(file.metadata(), arch_ + "."),
        fields_(source_, report_, arch_ + ".") {}

  ModelConfig read() {
    ModelConfig c;
    c.family = arch_;
    c.layers = fields_.size("block_count", config_limits::kLayers);
    c.hidden = fields_.size("embedding_length", config_limits::kWidth);
    c.intermediate = fields_.size("feed_forward_length", config_limits::kWidth);
    c.context = fields_.size("context_length", config_limits::kContext);
    c.vocab = vocab();
    c.norm_eps = fields_.positive("attention.layer_norm_rms_epsilon", config_limits::kNormEps);
    // For a llama too: converters leave the window of a Mistral out, so a file that has one means
    // it.
    c.sliding_window = fields_.optional_size("attention.sliding_window", config_limits::kContext);
    c.tied_embeddings = file_.find("output.weight") == nullptr;
    read_heads(c);
    read_rope(c);
    refuse_unknown();
    check_relations(c, keys(), report_);
    report_.throw_if_any();
    return c;
  }

 private:
  std::string key(std::string_view suffix) const { return fmt::format("{}.{}", arch_, suffix); }

  ConfigKeys keys() const {
    return {.hidden = key("embedding_length"),
            .q_heads = key("attention.head_count"),
            .kv_heads = key("attention.head_count_kv"),
            .head_dim = key("attention.key_length"),
            .rope_dims = key("rope.dimension_count"),
            .rope_factors = fmt::format("tensor {}", kRopeFactors)};
  }

  std::size_t vocab() {
    const GgufValue* tokens = file_.metadata().find("tokenizer.ggml.tokens");
    const auto* list = tokens == nullptr ? nullptr : std::get_if<GgufArray>(&tokens->data);
    const std::size_t count = list == nullptr ? 0 : list->count;
    const std::size_t vocab = fields_.size("vocab_size", config_limits::kVocab, count);
    if (!source_.u64("vocab_size").present && (count == 0 || count > config_limits::kVocab)) {
      report_.add("tokenizer.ggml.tokens",
                  fmt::format("has {} tokens; 1 to {} would be right, or a {}", count,
                              config_limits::kVocab, key("vocab_size")));
    } else if (vocab != 0 && count > vocab) {
      report_.add(key("vocab_size"),
                  fmt::format("is {}, but tokenizer.ggml.tokens has {}", vocab, count));
    }
    return vocab;
  }

  void read_heads(ModelConfig& c) {
    c.q_heads = fields_.size("attention.head_count", config_limits::kHeads);
    c.kv_heads = fields_.size("attention.head_count_kv", config_limits::kHeads, c.q_heads);
    const bool divides = c.q_heads != 0 && c.hidden % c.q_heads == 0;
    const std::size_t share = divides ? c.hidden / c.q_heads : 0;
    c.head_dim = fields_.size("attention.key_length", config_limits::kHeadDim, share);
    if (!divides && c.hidden != 0 && c.q_heads != 0 &&
        !source_.u64("attention.key_length").present) {
      fields_.report(
          "attention.key_length",
          fmt::format("is missing, and {} heads do not divide the width {}", c.q_heads, c.hidden));
    }
    const std::size_t values =
        fields_.size("attention.value_length", config_limits::kHeadDim, c.head_dim);
    if (c.head_dim != 0 && values != 0 && values != c.head_dim) {
      fields_.report("attention.value_length",
                     fmt::format("is {}; the {} of the keys would be right: varve has no heads "
                                 "whose values and keys differ in size",
                                 values, c.head_dim));
    }
  }

  void read_rope(ModelConfig& c) {
    c.rope_theta = fields_.positive("rope.freq_base", config_limits::kRopeTheta, 10000.0);
    c.rope_dims = fields_.size("rope.dimension_count", config_limits::kHeadDim, c.head_dim);
    c.rope_layout = rope_layout_of(ModelSource::kGguf, arch_);
    read_rope_factors(c);
    const auto type = fields_.string("rope.scaling.type");
    if (type && *type != "none") {
      fields_.report("rope.scaling.type",
                     fmt::format("is {}; known are 'none' and the tensor {} of Llama 3",
                                 in_quotes(*type), kRopeFactors));
    }
    // Before there was a type, this key alone meant linear scaling.
    if (fields_.positive("rope.scale_linear", config_limits::kRopeTheta, 1.0) != 1.0) {
      fields_.report("rope.scale_linear", "is not 1; linear scaling is not supported");
    }
  }

  void read_rope_factors(ModelConfig& c) {
    const TensorEntry* factors = file_.find(kRopeFactors);
    if (factors == nullptr) return;
    if (factors->dtype != DType::kF32 || factors->shape.size() != 1) {
      report_.add(fmt::format("tensor {}", kRopeFactors), "one dimension of F32 would be right");
      return;
    }
    c.rope_factors.resize(factors->shape[0]);
    std::memcpy(c.rope_factors.data(), factors->data, factors->bytes);
  }

  // What would change the computation in a way that no family of varve has.
  void refuse_unknown() {
    if (const auto experts = fields_.optional_size("expert_count", config_limits::kWidth)) {
      fields_.report("expert_count",
                     fmt::format("is {}; mixtures of experts are not supported", *experts));
    }
    const GgufValue* parts = file_.metadata().find("split.count");
    if (parts != nullptr && as_u64(*parts).value_or(0) > 1) {
      report_.add("split.count", fmt::format("is {}: the file is one part of a split model; merge "
                                             "the parts into one file",
                                             *as_u64(*parts)));
    }
  }

  const GgufFile& file_;
  std::string arch_;
  ConfigReport report_;
  GgufFields source_;
  FieldReader fields_;
};

}  // namespace

ModelConfig read_gguf_config(const GgufFile& file, const std::string& fallback_name,
                             const FamilyCheck& check_family) {
  const GgufMetadata& metadata = file.metadata();
  const auto arch = metadata.get_string("general.architecture");
  if (!arch || arch->empty()) {
    throw IoError(
        fmt::format("{}: key 'general.architecture' is missing; a model's file says its "
                    "family there",
                    metadata.path()));
  }
  if (check_family) check_family(std::string(*arch));
  ModelConfig config = GgufConfigReader(file, std::string(*arch)).read();
  config.name = escaped(metadata.get_string("general.name").value_or(fallback_name), kMostName);
  return config;
}

}  // namespace varve
