#include "common/model/hf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/regular_file.h"
#include "common/io/strict_json.h"
#include "common/model/config_fields.h"
#include "common/model/model_files.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxConfig = std::size_t{16} << 20;

// For messages.
std::string what_is(const json& value) {
  if (value.is_string()) return "the string " + in_quotes(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  return value.dump();
}

class JsonFields final : public FieldSource {
 public:
  explicit JsonFields(const json& object) : object_(object) {}

  const json* find(std::string_view key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  /// Also if null stands there.
  bool has(std::string_view key) const { return object_.contains(key); }
  Found<std::uint64_t> u64(std::string_view key) const override {
    return look_up<std::uint64_t>(key, &json::is_number_unsigned);
  }
  Found<double> f64(std::string_view key) const override {
    return look_up<double>(key, &json::is_number);
  }
  Found<bool> boolean(std::string_view key) const override {
    return look_up<bool>(key, &json::is_boolean);
  }
  Found<std::string> string(std::string_view key) const override {
    return look_up<std::string>(key, &json::is_string);
  }

 private:
  template <class T>
  Found<T> look_up(std::string_view key, bool (json::*is_kind)() const noexcept) const {
    const json* value = find(key);
    if (value == nullptr) return {};
    Found<T> found{.present = true, .value = {}, .text = what_is(*value)};
    if ((value->*is_kind)()) found.value = value->get<T>();
    return found;
  }

  const json& object_;
};

class HfConfigReader {
 public:
  HfConfigReader(const json& object, const std::string& path, const TensorFile& tensors)
      : tensors_(tensors), report_(path), source_(object), fields_(source_, report_) {}

  ModelConfig read() {
    ModelConfig c;
    c.family = fields_.string("model_type").value_or("");
    if (!source_.string("model_type").present) {
      report_.add("model_type", "is missing; the name of the model's family would be right");
    }
    c.layers = fields_.size("num_hidden_layers", config_limits::kLayers);
    c.hidden = fields_.size("hidden_size", config_limits::kWidth);
    c.intermediate = fields_.size("intermediate_size", config_limits::kWidth);
    c.context = fields_.size("max_position_embeddings", config_limits::kContext);
    c.vocab = fields_.size("vocab_size", config_limits::kVocab);
    c.norm_eps = fields_.positive("rms_norm_eps", config_limits::kNormEps);
    c.tied_embeddings =
        fields_.boolean("tie_word_embeddings").value_or(tensors_.find("lm_head.weight") == nullptr);
    read_heads(c);
    read_rope(c);
    c.sliding_window = sliding_window(c);
    refuse_unknown();
    check_relations(c, keys(), report_);
    report_.throw_if_any();
    return c;
  }

 private:
  static ConfigKeys keys() {
    return {.hidden = "hidden_size",
            .q_heads = "num_attention_heads",
            .kv_heads = "num_key_value_heads",
            .head_dim = "head_dim",
            .rope_dims = "partial_rotary_factor",
            .rope_factors = "rope_scaling"};
  }

  void read_heads(ModelConfig& c) {
    c.q_heads = fields_.size("num_attention_heads", config_limits::kHeads);
    c.kv_heads = fields_.size("num_key_value_heads", config_limits::kHeads, c.q_heads);
    const bool divides = c.q_heads != 0 && c.hidden % c.q_heads == 0;
    const std::size_t share = divides ? c.hidden / c.q_heads : 0;
    c.head_dim = fields_.size("head_dim", config_limits::kHeadDim, share);
    if (!divides && c.hidden != 0 && c.q_heads != 0 && !source_.u64("head_dim").present) {
      report_.add("head_dim", fmt::format("is missing, and {} heads do not divide the width {}",
                                          c.q_heads, c.hidden));
    }
  }

  // rope_theta and the scaling stand at the top (transformers 4) or in rope_parameters (5).
  void read_rope(ModelConfig& c) {
    c.rope_layout = rope_layout_of(ModelSource::kHuggingFace, c.family);
    double theta = fields_.positive("rope_theta", config_limits::kRopeTheta, 10000.0);
    double rotated = fields_.positive("partial_rotary_factor", 1.0, 1.0);
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
      const json* object = source_.find(key);
      if (object == nullptr) continue;
      if (!object->is_object()) {
        report_.add(key, fmt::format("is {}; an object would be right", what_is(*object)));
        continue;
      }
      const JsonFields source(*object);
      FieldReader fields(source, report_, std::string(key) + ".");
      theta = fields.positive("rope_theta", config_limits::kRopeTheta, theta);
      rotated = fields.positive("partial_rotary_factor", 1.0, rotated);
      read_scaling(fields, c);
    }
    c.rope_theta = theta;
    // As transformers rounds it: down.
    c.rope_dims = static_cast<std::size_t>(static_cast<double>(c.head_dim) * rotated);
    if (c.rope_dims == 0 && c.head_dim != 0 && rotated != 0) {
      report_.add("partial_rotary_factor", fmt::format("is {}; nothing of a head of {} elements "
                                                       "would rotate",
                                                       rotated, c.head_dim));
    }
  }

  static void read_scaling(FieldReader& fields, ModelConfig& c) {
    // "type" is what the key was called at first.
    const auto old = fields.string("type");
    const std::string type = fields.string("rope_type").value_or(old.value_or("default"));
    if (type == "default") return;
    if (type != "llama3") {
      fields.report("rope_type",
                    fmt::format("is {}; known are 'default' and 'llama3'", in_quotes(type)));
      return;
    }
    Llama3RopeScaling s;
    s.factor = fields.positive("factor", config_limits::kRopeTheta);
    s.low_freq_factor = fields.positive("low_freq_factor", config_limits::kRopeTheta);
    s.high_freq_factor = fields.positive("high_freq_factor", config_limits::kRopeTheta);
    s.original_context = static_cast<double>(
        fields.size("original_max_position_embeddings", config_limits::kContext));
    if (s.high_freq_factor != 0 && s.low_freq_factor >= s.high_freq_factor) {
      fields.report("low_freq_factor", fmt::format("is {}; less than the high_freq_factor {} would "
                                                   "be right",
                                                   s.low_freq_factor, s.high_freq_factor));
    }
    c.llama3_scaling = s;
  }

  // transformers knows no window for a llama, whatever the file says; ignores the size unless
  // use_sliding_window is set (qwen2, qwen3); and has one of 4096 for a mistral whose file says
  // nothing (one that says null has none).
  std::optional<std::size_t> sliding_window(const ModelConfig& c) {
    std::optional<std::size_t> window =
        fields_.optional_size("sliding_window", config_limits::kContext);
    if (c.family == "mistral" && !source_.has("sliding_window")) window = 4096;
    const bool in_use =
        c.family != "llama" &&
        fields_.boolean("use_sliding_window").value_or(!c.family.starts_with("qwen"));
    if (!in_use) window = std::nullopt;
    const json* types = source_.find("layer_types");
    if (types != nullptr) return window_by_layer_types(*types, c.layers, window);
    return in_use && c.family.starts_with("qwen") ? window_by_depth(c.layers, window) : window;
  }

  std::optional<std::size_t> window_by_layer_types(const json& types, std::size_t layers,
                                                   std::optional<std::size_t> window) {
    const auto differs = [&](const json& type) { return type != types[0]; };
    if (!types.is_array() || types.size() != layers || types.empty() ||
        std::ranges::any_of(types, differs)) {
      report_.add("layer_types",
                  fmt::format("is {}; a list of {} equal strings would be right: varve has no "
                              "models that mix kinds of layers",
                              what_is(types), layers));
      return std::nullopt;
    }
    if (types[0] == "full_attention") return std::nullopt;
    if (types[0] != "sliding_attention") {
      report_.add("layer_types", fmt::format("holds {}; 'full_attention' or 'sliding_attention' "
                                             "would be right",
                                             what_is(types[0])));
    } else if (!window) {
      report_.add("sliding_window", "is missing, but layer_types says 'sliding_attention'");
    }
    return window;
  }

  // The first max_window_layers layers see everything, the others a window.
  std::optional<std::size_t> window_by_depth(std::size_t layers,
                                             std::optional<std::size_t> window) {
    constexpr std::size_t kDefault = 28;
    const std::size_t full =
        source_.has("max_window_layers")
            ? fields_.optional_size("max_window_layers", config_limits::kLayers).value_or(0)
            : kDefault;
    if (!window || full >= layers) return std::nullopt;
    if (full != 0) {
      report_.add("max_window_layers",
                  fmt::format("is {}; 0 or at least {} would be right: varve has no models that "
                              "mix kinds of layers",
                              full, layers));
    }
    return window;
  }

  // What would change the computation in a way that no family of varve has.
  void refuse_unknown() {
    const auto act = fields_.string("hidden_act");
    if (act && *act != "silu") {
      report_.add("hidden_act", fmt::format("is {}; 'silu' would be right", in_quotes(*act)));
    }
    if (const json* quantized = source_.find("quantization_config")) {
      const auto method = quantized->find("quant_method");
      report_.add("quantization_config",
                  fmt::format("weights are quantised with {}; plain F32, F16 or BF16 would be "
                              "right, or a GGUF file",
                              method == quantized->end() ? "some method" : what_is(*method)));
    }
  }

  const TensorFile& tensors_;
  ConfigReport report_;
  JsonFields source_;
  FieldReader fields_;
};

}  // namespace

ModelConfig parse_hf_config(std::string_view text, const std::string& path,
                            const TensorFile& tensors, const FamilyCheck& check_family) {
  const json object = parse_strict_json(text, path);
  if (!object.is_object()) {
    throw IoError(fmt::format("{}: is {}; an object would be right", path, what_is(object)));
  }
  if (const auto family = object.find("model_type");
      check_family && family != object.end() && family->is_string()) {
    check_family(family->get<std::string>());
  }
  return HfConfigReader(object, path, tensors).read();
}

ModelConfig read_hf_config(const std::filesystem::path& path, const TensorFile& tensors,
                           const FamilyCheck& check_family) {
  return parse_hf_config(read_text_file(path, kMaxConfig), path.string(), tensors, check_family);
}

}  // namespace varve
