#include "common/text/tokenizer_json_steps.h"

#include <array>

#include "common/utf8.h"

namespace varve {
namespace {

// Calls `visit` for the step, or for each of the steps of a Sequence under `key`.
template <class Visit>
void for_each_step(const JsonNode& node, const std::string& key, const Visit& visit) {
  if (node.get("type").string() != "Sequence") return visit(node);
  const JsonNode steps = node.get(key);
  for (std::size_t i = 0; i < steps.list().size(); ++i) for_each_step(steps.element(i), key, visit);
}

[[noreturn]] void refuse(const JsonNode& node, const char* what, const char* known) {
  node.fail(fmt::format("the {} {} is unknown; varve has {}", what,
                        in_quotes(node.get("type").string()), known));
}

TextPattern parse_pattern(const JsonNode& node) {
  if (const auto regex = node.find("Regex")) return {regex->string(), true};
  if (const auto literal = node.find("String")) return {literal->string(), false};
  node.fail(R"(has neither "String" nor "Regex")");
}

SplitBehavior parse_behavior(const JsonNode& node) {
  struct Row {
    std::string_view name;
    SplitBehavior behavior;
  };
  constexpr std::array<Row, 5> kRows = {{
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous},
  }};
  for (const Row& row : kRows) {
    if (node.string() == row.name) return row.behavior;
  }
  node.fail(
      fmt::format("is {}; Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous "
                  "would be right",
                  in_quotes(node.string())));
}

MetaspaceStep::Prepend parse_prepend(const JsonNode& node) {
  const auto scheme = node.find("prepend_scheme");
  if (!scheme) {  // older files
    return node.boolean_or("add_prefix_space", true) ? MetaspaceStep::Prepend::kAlways
                                                     : MetaspaceStep::Prepend::kNever;
  }
  if (scheme->string() == "always") return MetaspaceStep::Prepend::kAlways;
  if (scheme->string() == "first") return MetaspaceStep::Prepend::kFirst;
  if (scheme->string() == "never") return MetaspaceStep::Prepend::kNever;
  scheme->fail(
      fmt::format("is {}; always, first or never would be right", in_quotes(scheme->string())));
}

MetaspaceStep parse_metaspace(const JsonNode& node) {
  const JsonNode replacement = node.get("replacement");
  const std::string& text = replacement.string();
  if (text.empty() || decode_utf8(text, 0).length != text.size()) {
    replacement.fail(fmt::format("is {}; one character would be right", in_quotes(text)));
  }
  return {text, parse_prepend(node), node.boolean_or("split", true)};
}

NormalizerStep parse_normalizer_step(const JsonNode& node) {
  const std::string& type = node.get("type").string();
  if (type == "NFC") return NfcStep{};
  if (type == "Prepend") return PrependStep{node.get("prepend").string()};
  if (type == "Replace") {
    return ReplaceStep{parse_pattern(node.get("pattern")), node.get("content").string()};
  }
  refuse(node, "normalizer", "NFC, Prepend, Replace and Sequence");
}

PreTokenizerStep parse_pre_tokenizer_step(const JsonNode& node) {
  const std::string& type = node.get("type").string();
  if (type == "ByteLevel") {
    return ByteLevelStep{node.boolean_or("add_prefix_space", true),
                         node.boolean_or("use_regex", true)};
  }
  if (type == "Split") {
    return SplitStep{parse_pattern(node.get("pattern")), parse_behavior(node.get("behavior")),
                     node.boolean_or("invert", false)};
  }
  if (type == "Digits") return DigitsStep{node.boolean_or("individual_digits", false)};
  if (type == "Metaspace") return parse_metaspace(node);
  refuse(node, "pre-tokenizer", "ByteLevel, Split, Digits, Metaspace and Sequence");
}

// {"SpecialToken": {"id": "<s>"}} before {"Sequence": {"id": "A"}}.
std::optional<TokenId> first_of_template(const JsonNode& node) {
  const JsonNode parts = node.get("single");
  if (parts.list().empty()) return std::nullopt;
  const auto special = parts.element(0).find("SpecialToken");
  if (!special) return std::nullopt;
  const std::string& name = special->get("id").string();
  const JsonNode ids = node.get("special_tokens").get(name).get("ids");
  if (ids.list().size() != 1) ids.fail("has other than one id");
  return ids.element(0).id();
}

}  // namespace

std::vector<NormalizerStep> parse_normalizer(const JsonNode& node) {
  std::vector<NormalizerStep> steps;
  for_each_step(node, "normalizers",
                [&](const JsonNode& step) { steps.push_back(parse_normalizer_step(step)); });
  return steps;
}

std::vector<PreTokenizerStep> parse_pre_tokenizer(const JsonNode& node) {
  std::vector<PreTokenizerStep> steps;
  for_each_step(node, "pretokenizers",
                [&](const JsonNode& step) { steps.push_back(parse_pre_tokenizer_step(step)); });
  return steps;
}

std::optional<TokenId> parse_post_processor(const JsonNode& node) {
  std::optional<TokenId> first;
  for_each_step(node, "processors", [&](const JsonNode& step) {
    const std::string& type = step.get("type").string();
    if (type == "TemplateProcessing") {
      first = first_of_template(step);
    } else if (type != "ByteLevel") {  // which moves offsets alone
      refuse(step, "post-processor", "ByteLevel, TemplateProcessing and Sequence");
    }
  });
  return first;
}

bool strips_leading_space(const JsonNode& decoder) {
  bool strips = false;
  for_each_step(decoder, "decoders", [&](const JsonNode& step) {
    const std::string& type = step.get("type").string();
    if (type == "Metaspace") strips = parse_prepend(step) != MetaspaceStep::Prepend::kNever;
    if (type == "Strip") strips = step.get("start").value() == 1;
  });
  return strips;
}

}  // namespace varve
