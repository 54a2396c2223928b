// The real vocabularies that tests run on, each as the GGUF file that holds it and as the
// tokenizer.json that the model was published with.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/tokenizer.h"

namespace varve {

/// "gpt-2", "llama-bpe", "llama-spm", "qwen2" (folder VARVE_LLAMA_VOCABS) or "smollm" (file
/// VARVE_SMOLLM2). Empty if the variable is not set.
std::filesystem::path real_vocabulary(std::string_view name);

/// The environment variable that real_vocabulary reads for `name`.
std::string variable_of(std::string_view name);

Tokenizer tokenizer_from_gguf(std::string_view name);

/// Writes the vocabulary of the GGUF file as a tokenizer.json with the model's own normalizer,
/// pre-tokenizer and merges, and reads that.
Tokenizer tokenizer_from_json(std::string_view name);

/// The value of an environment variable, or "".
std::string environment(const std::string& name);

/// The parts of `text` between occurrences of `separator`.
std::vector<std::string> split_text(std::string_view text, std::string_view separator);

}  // namespace varve

#define VARVE_NEED_VOCABULARY(name)                              \
  if (::varve::real_vocabulary(name).empty()) {                  \
    GTEST_SKIP() << ::varve::variable_of(name) << " is not set"; \
  }                                                              \
  static_assert(true)
