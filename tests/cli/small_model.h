// A model that the program runs in no time: a llama with random weights and a tokenizer of single
// bytes, so that a text has as many tokens as bytes.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "tests/support/gguf_writer.h"

namespace varve {

inline constexpr std::size_t kSmallContext = 256;  // tokens

/// All keys and tensors but those in `without`, which a test may add in its own way.
GgufWriter small_model(const std::set<std::string>& without = {}, std::uint32_t layers = 2);

}  // namespace varve
