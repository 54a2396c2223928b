// A small llama with random weights, as a GGUF file: enough for every path of the pipeline.
#pragma once

#include <cstdint>
#include <filesystem>

namespace varve {

/// 5 layers, hidden 64, 4 query and 2 key/value heads of 16, vocabulary 97, tied head, weights in
/// q8_0, q4_1 and f16. No tokenizer. The same bytes every time. `wide_heads`: 2 query heads and one
/// key/value head of 32, for rows in groups of 32 channels. With fewer layers, the first of them.
void write_tiny_model(const std::filesystem::path& path, bool wide_heads = false,
                      std::uint32_t layers = 5);

}  // namespace varve
