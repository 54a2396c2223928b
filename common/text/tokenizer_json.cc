#include "common/text/tokenizer_json.h"

#include <algorithm>
#include <limits>

#include "common/io/regular_file.h"
#include "common/io/strict_json.h"
#include "common/text/json_node.h"
#include "common/text/tokenizer_json_steps.h"
#include "common/text/vocabulary.h"

namespace varve {
namespace {

constexpr std::size_t kMostBytes = std::size_t{256} << 20;

// Texts by id, gathered from the model's vocabulary and the added tokens.
class TokenTable {
 public:
  /// `most`: entries in the file. An id beyond them would leave holes, however large.
  TokenTable(std::string file, std::size_t most) : file_(std::move(file)), most_(most) {}

  void add(const std::string& text, TokenId id, const JsonNode& where) {
    const auto index = static_cast<std::size_t>(id);
    if (text.empty()) where.fail(fmt::format("the token {} is empty", id));
    if (index >= most_) {
      where.fail(fmt::format("the id of {} is {}, but the file has {} tokens", in_quotes(text), id,
                             most_));
    }
    if (index >= texts_.size()) texts_.resize(index + 1);
    if (!texts_[index].empty() && texts_[index] != text) {
      where.fail(fmt::format("the id {} belongs to {} and to {}", id, in_quotes(texts_[index]),
                             in_quotes(text)));
    }
    texts_[index] = text;
  }

  std::vector<std::string> take() {
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      if (!texts_[id].empty()) continue;
      throw IoError(fmt::format("{}: no token has the id {}, but ids go up to {}", file_, id,
                                texts_.size() - 1));
    }
    return std::move(texts_);
  }

 private:
  std::string file_;
  std::size_t most_;
  std::vector<std::string> texts_;
};

AddedToken parse_added_token(const JsonNode& node) {
  AddedToken token;
  token.id = node.get("id").id();
  token.text = node.get("content").string();
  token.special = node.boolean_or("special", false);
  token.normalized = node.boolean_or("normalized", !token.special);
  token.single_word = node.boolean_or("single_word", false);
  token.lstrip = node.boolean_or("lstrip", false);
  token.rstrip = node.boolean_or("rstrip", false);
  return token;
}

std::vector<std::string> parse_tokens(const JsonNode& root, TokenizerSpec& spec) {
  const JsonNode vocabulary = root.get("model").get("vocab");
  const auto added = root.find("added_tokens");
  TokenTable table(root.file(), vocabulary.object().size() + (added ? added->list().size() : 0));
  for (const auto& [text, id] : vocabulary.object().items()) {
    if (!id.is_number_integer()) {
      vocabulary.fail(fmt::format("the id of {} is {}; an integer would be right", in_quotes(text),
                                  id.type_name()));
    }
    table.add(text, JsonNode(id, root.file(), "model.vocab").id(), vocabulary);
  }
  if (added) {
    for (std::size_t i = 0; i < added->list().size(); ++i) {
      spec.added.push_back(parse_added_token(added->element(i)));
      table.add(spec.added.back().text, spec.added.back().id, added->element(i));
    }
  }
  return table.take();
}

// "left right", or ["left", "right"] in newer files.
std::vector<Merge> parse_merges(const JsonNode& node, const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for (std::size_t i = 0; i < node.list().size(); ++i) {
    const nlohmann::json& merge = node.value()[i];
    if (merge.is_string()) {
      pairs.push_back(split_merge(merge.get_ref<const std::string&>(), i, node.where()));
      continue;
    }
    const JsonNode pair = node.element(i);
    if (pair.list().size() != 2) pair.fail("has other than two tokens");
    pairs.emplace_back(pair.element(0).string(), pair.element(1).string());
  }
  return resolve_merges(pairs, vocabulary, node.where());
}

// What of a BPE model would change ids and is not there in any known decoder-only model.
void refuse_other_models(const JsonNode& model) {
  const auto type = model.find("type");  // older files have none
  if (type && type->string() != "BPE") {
    type->fail(fmt::format("is {}; varve has BPE", in_quotes(type->string())));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = model.find(key);
    if (affix && !affix->string().empty()) affix->fail("is set; varve has models without it");
  }
  const auto dropout = model.find("dropout");
  if (dropout && dropout->value() != 0) dropout->fail("is set; null would be right to run a model");
}

void parse_model(const JsonNode& model, TokenizerSpec& spec) {
  refuse_other_models(model);
  const Vocabulary vocabulary(spec.tokens, spec.source);
  spec.merges = parse_merges(model.get("merges"), vocabulary);
  spec.byte_fallback = model.boolean_or("byte_fallback", false);
  spec.ignore_merges = model.boolean_or("ignore_merges", false);
  spec.fuse_unknown = model.boolean_or("fuse_unk", false);
  const auto unknown = model.find("unk_token");
  if (!unknown || unknown->string().empty()) return;
  spec.unknown = vocabulary.find(unknown->string());
  if (!spec.unknown) unknown->fail(in_quotes(unknown->string()) + " is no token");
}

bool has_byte_level(const std::vector<PreTokenizerStep>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const PreTokenizerStep& step) {
    return std::holds_alternative<ByteLevelStep>(step);
  });
}

// A token as tokenizer_config.json names it: its text, or an object with it.
std::optional<TokenId> parse_named_token(const JsonNode& config, const char* key,
                                         const TokenizerSpec& spec) {
  const auto node = config.find(key);
  if (!node) return std::nullopt;
  const std::string& text =
      node->value().is_object() ? node->get("content").string() : node->string();
  const auto at = std::find(spec.tokens.begin(), spec.tokens.end(), text);
  if (at == spec.tokens.end()) node->fail(in_quotes(text) + " is no token of tokenizer.json");
  return static_cast<TokenId>(at - spec.tokens.begin());
}

// The template itself, or a list of named ones, of which "default" is meant.
std::string parse_chat_template(const JsonNode& node) {
  if (node.value().is_string()) return node.string();
  for (std::size_t i = 0; i < node.list().size(); ++i) {
    const JsonNode named = node.element(i);
    if (named.get("name").string() == "default") return named.get("template").string();
  }
  return {};
}

}  // namespace

TokenizerSpec parse_tokenizer_json(std::string_view text, const std::string& file) {
  const nlohmann::json document = parse_strict_json(text, file);
  const JsonNode root(document, file);
  TokenizerSpec spec;
  spec.source = file;
  spec.tokens = parse_tokens(root, spec);
  parse_model(root.get("model"), spec);
  if (const auto node = root.find("normalizer")) spec.normalizer = parse_normalizer(*node);
  if (const auto node = root.find("pre_tokenizer")) {
    spec.pre_tokenizer = parse_pre_tokenizer(*node);
  }
  spec.byte_level = has_byte_level(spec.pre_tokenizer);
  if (const auto node = root.find("post_processor")) spec.bos = parse_post_processor(*node);
  spec.add_bos = spec.bos.has_value();
  if (const auto node = root.find("decoder"))
    spec.strip_leading_space = strips_leading_space(*node);
  return spec;
}

void apply_tokenizer_config(std::string_view text, const std::string& file, TokenizerSpec& spec) {
  const nlohmann::json document = parse_strict_json(text, file);
  const JsonNode config(document, file);
  // A template that tokenizer.json holds decides; the flag is for tokenizers without one.
  if (!spec.add_bos) {
    spec.bos = parse_named_token(config, "bos_token", spec);
    spec.add_bos = spec.bos && config.boolean_or("add_bos_token", false);
  }
  if (const auto eos = parse_named_token(config, "eos_token", spec)) spec.eos = eos;
  if (const auto node = config.find("chat_template")) {
    spec.chat_template = parse_chat_template(*node);
  }
}

TokenizerSpec read_tokenizer_json(const std::filesystem::path& tokenizer_json) {
  TokenizerSpec spec =
      parse_tokenizer_json(read_text_file(tokenizer_json, kMostBytes), tokenizer_json.string());
  const auto config = tokenizer_json.parent_path() / "tokenizer_config.json";
  if (std::filesystem::exists(config)) {
    apply_tokenizer_config(read_text_file(config, kMostBytes), config.string(), spec);
  }
  const auto chat = tokenizer_json.parent_path() / "chat_template.jinja";
  if (std::filesystem::exists(chat)) spec.chat_template = read_text_file(chat, kMostBytes);
  return spec;
}

}  // namespace varve
