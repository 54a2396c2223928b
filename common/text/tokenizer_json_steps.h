// The parts of a tokenizer.json that are sequences of steps.
#pragma once

#include <optional>
#include <vector>

#include "common/text/json_node.h"
#include "common/text/tokenizer_spec.h"

namespace varve {

std::vector<NormalizerStep> parse_normalizer(const JsonNode& node);

std::vector<PreTokenizerStep> parse_pre_tokenizer(const JsonNode& node);

/// The id that a post-processor puts before a text, if it puts one.
std::optional<TokenId> parse_post_processor(const JsonNode& node);

/// Whether a decoder drops the first space.
bool strips_leading_space(const JsonNode& decoder);

}  // namespace varve
