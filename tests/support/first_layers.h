// A real model made small.
#pragma once

#include <cstdint>
#include <filesystem>

namespace varve {

/// Copies a GGUF file with the first layers of its model alone; tokenizer, embedding and head stay.
void write_first_layers(const std::filesystem::path& from, const std::filesystem::path& to,
                        std::uint32_t layers);

}  // namespace varve
