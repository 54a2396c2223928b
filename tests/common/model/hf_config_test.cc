#include "common/model/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/safetensors.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/io_error.h"
#include "tests/support/safetensors_writer.h"

namespace varve {
namespace {

using testing::HasSubstr;
using testing::Optional;

// A config.json of 4 layers: what a file of any of the families says, then `more`, whose keys win.
std::string config(const std::string& more = "", const std::string& without = "",
                   const std::string& family = "llama") {
  const std::vector<std::pair<std::string, std::string>> usual = {
      {"model_type", "\"" + family + "\""},
      {"num_hidden_layers", "4"},
      {"hidden_size", "96"},
      {"intermediate_size", "160"},
      {"num_attention_heads", "6"},
      {"num_key_value_heads", "3"},
      {"max_position_embeddings", "2048"},
      {"vocab_size", "50"},
      {"rms_norm_eps", "1e-06"},
      {"rope_theta", "50000.0"},
      {"hidden_act", "\"silu\""},
      {"tie_word_embeddings", "false"}};
  std::string text = "{" + more;
  for (const auto& [key, value] : usual) {
    if (key == without || more.find("\"" + key + "\":") != more.npos) continue;
    text += (text == "{" ? "\"" : ", \"") + key + "\": " + value;
  }
  return text + "}";
}

ModelConfig read(const std::string& text, bool with_head = false) {
  SafetensorsWriter w;
  if (with_head) w.tensor("lm_head.weight", {1}, std::vector{1.0F});
  const auto bytes = w.bytes();
  return parse_hf_config(text, "config.json", *SafetensorsFile::from_bytes(bytes, "m"));
}

std::string message(const std::string& text) {
  return io_error([&] { read(text); });
}

TEST(HfConfig, ReadsWhatTheFileSays) {
  const ModelConfig c = read(config());
  EXPECT_EQ(c.family, "llama");
  EXPECT_EQ(c.layers, 4U);
  EXPECT_EQ(c.hidden, 96U);
  EXPECT_EQ(c.intermediate, 160U);
  EXPECT_EQ(c.context, 2048U);
  EXPECT_EQ(c.q_heads, 6U);
  EXPECT_EQ(c.kv_heads, 3U);
  EXPECT_EQ(c.head_dim, 16U);
  EXPECT_EQ(c.rope_dims, 16U);
  EXPECT_EQ(c.vocab, 50U);
  EXPECT_EQ(c.norm_eps, 1e-6);
  EXPECT_EQ(c.rope_theta, 50000.0);
  EXPECT_EQ(c.rope_layout, RopeLayout::kHalves);
  EXPECT_EQ(c.sliding_window, std::nullopt);
  EXPECT_FALSE(c.llama3_scaling.has_value());
  EXPECT_FALSE(c.tied_embeddings);
}

TEST(HfConfig, AbsentAndNullKeysHaveTheirDefaults) {
  EXPECT_EQ(read(config("", "num_key_value_heads")).kv_heads, 6U);
  EXPECT_EQ(read(config("\"head_dim\": null, \"rope_scaling\": null")).head_dim, 16U);
  EXPECT_EQ(read(config("\"head_dim\": 20")).head_dim, 20U);
  EXPECT_EQ(read(config("", "rope_theta")).rope_theta, 10000.0);
  EXPECT_EQ(read(config("\"partial_rotary_factor\": 0.5")).rope_dims, 8U);
  EXPECT_NO_THROW(read(config("", "hidden_act")));
}

TEST(HfConfig, TheFileOrElseTheTensorsSayWhetherEmbeddingsAreTied) {
  EXPECT_TRUE(read(config("\"tie_word_embeddings\": true"), true).tied_embeddings);
  EXPECT_FALSE(read(config("\"tie_word_embeddings\": false"), false).tied_embeddings);
  EXPECT_TRUE(read(config("", "tie_word_embeddings"), false).tied_embeddings);
  EXPECT_FALSE(read(config("", "tie_word_embeddings"), true).tied_embeddings);
}

TEST(HfConfig, ReadsLlama3ScalingInBothPlaces) {
  const std::string scaling =
      "\"factor\": 32.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
      "\"original_max_position_embeddings\": 8192";
  for (const std::string& text :
       {config("\"rope_scaling\": {\"rope_type\": \"llama3\", " + scaling + "}"),
        config("\"rope_scaling\": {\"type\": \"llama3\", " + scaling + "}"),
        config("\"rope_parameters\": {\"rope_theta\": 50000.0, \"rope_type\": \"llama3\", " +
                   scaling + "}",
               "rope_theta")}) {
    const ModelConfig c = read(text);
    ASSERT_TRUE(c.llama3_scaling.has_value()) << text;
    EXPECT_EQ(c.llama3_scaling->factor, 32);
    EXPECT_EQ(c.llama3_scaling->low_freq_factor, 1);
    EXPECT_EQ(c.llama3_scaling->high_freq_factor, 4);
    EXPECT_EQ(c.llama3_scaling->original_context, 8192);
    EXPECT_EQ(c.rope_theta, 50000.0);
  }
}

TEST(HfConfig, ReadsDefaultScaling) {
  EXPECT_FALSE(read(config("\"rope_scaling\": {\"rope_type\": \"default\"}")).llama3_scaling);
  const ModelConfig c =
      read(config("\"rope_parameters\": {\"rope_theta\": 7e5, \"rope_type\": \"default\"}"));
  EXPECT_EQ(c.rope_theta, 7e5);
  EXPECT_FALSE(c.llama3_scaling.has_value());
}

TEST(HfConfig, RefusesOtherScaling) {
  EXPECT_EQ(message(config("\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0}")),
            "config.json: rope_scaling.rope_type: is 'yarn'; known are 'default' and 'llama3'");
  EXPECT_EQ(message(config("\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0}")),
            "config.json: rope_scaling.rope_type: is 'linear'; known are 'default' and 'llama3'");
  EXPECT_EQ(message(config("\"rope_parameters\": {\"rope_type\": \"dynamic\"}")),
            "config.json: rope_parameters.rope_type: is 'dynamic'; known are 'default' and "
            "'llama3'");
  EXPECT_EQ(message(config("\"rope_scaling\": 8")),
            "config.json: rope_scaling: is 8; an object would be right");
  EXPECT_EQ(
      message(config("\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 0, "
                     "\"low_freq_factor\": 4.0, \"high_freq_factor\": 4.0}")),
      "config.json: 3 problems:\n"
      "  rope_scaling.factor: is 0; a number above 0, at most 1e+30 would be right\n"
      "  rope_scaling.original_max_position_embeddings: is missing; an integer from 1 to "
      "1073741824 would be right\n"
      "  rope_scaling.low_freq_factor: is 4; less than the high_freq_factor 4 would be right");
}

TEST(HfConfig, MistralHasAWindow) {
  EXPECT_THAT(read(config("\"sliding_window\": 64", "", "mistral")).sliding_window, Optional(64U));
  EXPECT_EQ(read(config("\"sliding_window\": null", "", "mistral")).sliding_window, std::nullopt);
  EXPECT_THAT(read(config("", "", "mistral")).sliding_window, Optional(4096U));
}

TEST(HfConfig, LlamaHasNoWindowWhateverItsFileSays) {
  EXPECT_EQ(read(config("\"sliding_window\": 64", "", "llama")).sliding_window, std::nullopt);
}

TEST(HfConfig, QwenHasAWindowIfItIsInUse) {
  const auto window = [](const std::string& more) {
    return read(config(more, "", "qwen2")).sliding_window;
  };
  EXPECT_EQ(window("\"sliding_window\": 64"), std::nullopt);
  EXPECT_EQ(window("\"sliding_window\": 64, \"use_sliding_window\": false"), std::nullopt);
  const std::string used = "\"sliding_window\": 64, \"use_sliding_window\": true";
  EXPECT_THAT(window(used + ", \"max_window_layers\": 0"), Optional(64U));
  EXPECT_EQ(window(used + ", \"max_window_layers\": 4"), std::nullopt);
  EXPECT_EQ(window(used), std::nullopt) << "the default of 28 is above 4 layers";
  EXPECT_EQ(message(config(used + ", \"max_window_layers\": 2", "", "qwen3")),
            "config.json: max_window_layers: is 2; 0 or at least 4 would be right: varve has no "
            "models that mix kinds of layers");
}

TEST(HfConfig, LayerTypesDecide) {
  const std::string used =
      "\"sliding_window\": 64, \"use_sliding_window\": true, \"max_window_layers\": 2, ";
  const auto types = [](const std::string& a, const std::string& b) {
    return "\"layer_types\": [\"" + a + "\", \"" + b + "\", \"" + b + "\", \"" + b + "\"]";
  };
  const std::string full = "full_attention";
  const std::string sliding = "sliding_attention";
  EXPECT_EQ(read(config(used + types(full, full), "", "qwen2")).sliding_window, std::nullopt);
  EXPECT_THAT(read(config(used + types(sliding, sliding), "", "qwen2")).sliding_window,
              Optional(64U));
  EXPECT_THAT(message(config(used + types(full, sliding), "", "qwen2")),
              HasSubstr("layer_types: is a list of 4; a list of 4 equal strings would be right"));
  EXPECT_THAT(message(config("\"layer_types\": [\"full_attention\"]")),
              HasSubstr("layer_types: is a list of 1; a list of 4 equal strings"));
  EXPECT_THAT(message(config("\"layer_types\": {}")), HasSubstr("layer_types: is an object"));
  EXPECT_THAT(message(config(types("conv", "conv"))),
              HasSubstr("layer_types: holds the string 'conv'; 'full_attention' or"));
  EXPECT_THAT(message(config(types(sliding, sliding))),
              HasSubstr("sliding_window: is missing, but layer_types says 'sliding_attention'"));
}

TEST(HfConfig, ListsAllProblemsAtOnce) {
  EXPECT_EQ(message(config("\"num_hidden_layers\": \"four\", \"hidden_size\": -96, "
                           "\"vocab_size\": 1.5, \"tie_word_embeddings\": 1, "
                           "\"hidden_act\": \"gelu\"",
                           "model_type")),
            "config.json: 6 problems:\n"
            "  model_type: is missing; the name of the model's family would be right\n"
            "  num_hidden_layers: is the string 'four'; an integer from 1 to 10000 would be right\n"
            "  hidden_size: is -96; an integer from 1 to 16777216 would be right\n"
            "  vocab_size: is 1.5; an integer from 1 to 16777216 would be right\n"
            "  tie_word_embeddings: is 1; true or false would be right\n"
            "  hidden_act: is 'gelu'; 'silu' would be right");
}

TEST(HfConfig, ChecksRelations) {
  EXPECT_EQ(message(config("\"num_key_value_heads\": 4")),
            "config.json: num_key_value_heads: is 4, which does not divide the 6 heads of "
            "num_attention_heads");
  EXPECT_EQ(message(config("\"hidden_size\": 100")),
            "config.json: head_dim: is missing, and 6 heads do not divide the width 100");
  EXPECT_THAT(message(config("\"head_dim\": 15")), HasSubstr("head_dim: is 15; an even number"));
  EXPECT_THAT(message(config("\"partial_rotary_factor\": 0.4375")),
              HasSubstr("partial_rotary_factor: gives 7 rotated elements; an even number up to"));
  EXPECT_THAT(message(config("\"partial_rotary_factor\": 0.01")),
              HasSubstr("partial_rotary_factor: is 0.01; nothing of a head of 16 elements"));
}

TEST(HfConfig, RefusesQuantisedWeights) {
  EXPECT_THAT(message(config("\"quantization_config\": {\"quant_method\": \"gptq\"}")),
              HasSubstr("weights are quantised with the string 'gptq'; plain F32, F16 or BF16"));
  EXPECT_THAT(message(config("\"quantization_config\": {}")), HasSubstr("with some method"));
  EXPECT_THAT(message(config("\"quantization_config\": 5")), HasSubstr("with some method"));
}

TEST(HfConfig, RefusesWhatIsNoObject) {
  EXPECT_EQ(message("[1, 2]"), "config.json: is a list of 2; an object would be right");
  EXPECT_THAT(message("{"), HasSubstr("config.json: is not JSON"));
}

}  // namespace
}  // namespace varve
