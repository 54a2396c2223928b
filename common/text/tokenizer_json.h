// The tokenizer of a Hugging Face folder: tokenizer.json, and from tokenizer_config.json the chat
// template and which tokens begin and end a text.
// (https://huggingface.co/docs/tokenizers/api/tokenizer)
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/text/tokenizer_spec.h"

namespace varve {

/// Reads `tokenizer_json` and, beside it, tokenizer_config.json and chat_template.jinja where they
/// exist. IoError: file, dotted path, what is wrong, what would be right.
TokenizerSpec read_tokenizer_json(const std::filesystem::path& tokenizer_json);

/// The text of a tokenizer.json. `file` is for messages. Supported: model BPE (byte-level, or by
/// characters with byte fallback); normalizers NFC, Prepend, Replace; pre-tokenizers ByteLevel,
/// Split, Digits, Metaspace; post-processors ByteLevel, TemplateProcessing; Sequences of them.
TokenizerSpec parse_tokenizer_json(std::string_view text, const std::string& file);

/// Adds what the text of a tokenizer_config.json says to `spec`.
void apply_tokenizer_config(std::string_view text, const std::string& file, TokenizerSpec& spec);

}  // namespace varve
