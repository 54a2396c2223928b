#include "tests/common/text/real_vocabularies.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "common/model/gguf.h"
#include "common/text/tokenizer_gguf.h"
#include "common/text/tokenizer_json.h"
#include "common/utf8.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr std::int64_t kUnknown = 2;
constexpr std::int64_t kControl = 3;
constexpr std::int64_t kUserDefined = 4;
constexpr std::int64_t kNormal = 1;

json split_then_bytes(const std::string& digits) {
  const std::string pattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" + digits +
                              R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"},
             {"pattern", {{"Regex", pattern}}},
             {"behavior", "Isolated"},
             {"invert", false}},
            {{"type", "ByteLevel"},
             {"add_prefix_space", false},
             {"trim_offsets", true},
             {"use_regex", false}}}}};
}

json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
}

json pre_tokenizer_of(std::string_view name) {
  if (name == "gpt-2") return byte_level();
  if (name == "qwen2") return split_then_bytes(R"(\p{N})");
  if (name == "llama-bpe") return split_then_bytes(R"(\p{N}{1,3})");
  if (name == "llama-spm") return nullptr;
  return {{"type", "Sequence"},
          {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, byte_level()}}};
}

json normalizer_of(std::string_view name) {
  if (name == "qwen2") return {{"type", "NFC"}};
  if (name != "llama-spm") return nullptr;
  return {{"type", "Sequence"},
          {"normalizers",
           {{{"type", "Prepend"}, {"prepend", "▁"}},
            {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}};
}

json bos_template(const std::string& text, std::int64_t id) {
  return {{"type", "TemplateProcessing"},
          {"single",
           {{{"SpecialToken", {{"id", text}, {"type_id", 0}}}},
            {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
          {"special_tokens", {{text, {{"id", text}, {"ids", {id}}, {"tokens", {text}}}}}}};
}

// As Hugging Face converts a SentencePiece model: all ways to make a token of two, better tokens
// first, and those of one token in the order of the parts' ids.
json merges_of_scores(const GgufMetadata& metadata) {
  const auto tokens = *metadata.get_strings("tokenizer.ggml.tokens");
  const auto scores = *metadata.get_f32s("tokenizer.ggml.scores");
  const auto types = *metadata.get_i64s("tokenizer.ggml.token_type");
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == kNormal) ids.emplace(tokens[id], id);
  }
  struct Row {
    std::string_view token, left, right;
    float score;
  };
  std::vector<Row> rows;
  for (const auto& [token, id] : ids) {
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      if (!ids.contains(token.substr(0, cut)) || !ids.contains(token.substr(cut))) continue;
      rows.push_back({token, token.substr(0, cut), token.substr(cut), scores[id]});
    }
  }
  std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::pair(ids.at(a.left), ids.at(a.right)) < std::pair(ids.at(b.left), ids.at(b.right));
  });
  json merges = json::array();
  for (const Row& row : rows) merges.push_back({row.left, row.right});
  return merges;
}

json model_of(const GgufMetadata& metadata, std::string_view name) {
  json vocabulary = json::object();
  std::int64_t id = 0;
  const auto tokens = *metadata.get_strings("tokenizer.ggml.tokens");
  for (const std::string_view token : tokens) {
    vocabulary[std::string(token)] = id++;
  }
  json model = {{"type", "BPE"}, {"dropout", nullptr}, {"vocab", std::move(vocabulary)}};
  if (name == "llama-spm") {
    model["merges"] = merges_of_scores(metadata);
    model["unk_token"] = "<unk>";
    model["fuse_unk"] = model["byte_fallback"] = true;
  } else {
    model["merges"] = *metadata.get_strings("tokenizer.ggml.merges");
    model["ignore_merges"] = name == "llama-bpe";
  }
  return model;
}

json added_tokens_of(const GgufMetadata& metadata) {
  const auto tokens = *metadata.get_strings("tokenizer.ggml.tokens");
  const auto types = *metadata.get_i64s("tokenizer.ggml.token_type");
  json added = json::array();
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const bool special = types[id] == kControl || types[id] == kUnknown;
    if (!special && types[id] != kUserDefined) continue;
    added.push_back(
        {{"id", id}, {"content", tokens[id]}, {"special", special}, {"normalized", false}});
  }
  return added;
}

}  // namespace

std::string environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

std::string variable_of(std::string_view name) {
  return name == "smollm" ? "VARVE_SMOLLM2" : "VARVE_LLAMA_VOCABS";
}

std::filesystem::path real_vocabulary(std::string_view name) {
  const std::string value = environment(variable_of(name));
  if (value.empty() || name == "smollm") return value;
  return std::filesystem::path(value) / ("ggml-vocab-" + std::string(name) + ".gguf");
}

Tokenizer tokenizer_from_gguf(std::string_view name) {
  const auto file = GgufFile::open(real_vocabulary(name));
  return Tokenizer(read_gguf_tokenizer(file->metadata()));
}

Tokenizer tokenizer_from_json(std::string_view name) {
  const auto file = GgufFile::open(real_vocabulary(name));
  const GgufMetadata& metadata = file->metadata();
  json document = {{"version", "1.0"},
                   {"added_tokens", added_tokens_of(metadata)},
                   {"normalizer", normalizer_of(name)},
                   {"pre_tokenizer", pre_tokenizer_of(name)},
                   {"model", model_of(metadata, name)}};
  if (name == "llama-bpe") {
    document["post_processor"] = {
        {"type", "Sequence"},
        {"processors", {{{"type", "ByteLevel"}}, bos_template("<|begin_of_text|>", 128000)}}};
  } else if (name == "llama-spm") {
    document["post_processor"] = bos_template("<s>", 1);
    document["decoder"] = {{"type", "Sequence"},
                           {"decoders",
                            {{{"type", "ByteFallback"}},
                             {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
  }
  return Tokenizer(parse_tokenizer_json(document.dump(), std::string(name) + "/tokenizer.json"));
}

std::vector<std::string> split_text(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (std::size_t at = text.find(separator); at != text.npos; at = text.find(separator)) {
    parts.emplace_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.emplace_back(text);
  return parts;
}

}  // namespace varve
