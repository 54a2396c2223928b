// The tokenizer of a GGUF file: its metadata "tokenizer.*"
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer), read as llama.cpp does.
#pragma once

#include "common/model/gguf_metadata.h"
#include "common/text/tokenizer_spec.h"

namespace varve {

/// tokenizer.ggml.model "gpt2" (byte-level BPE, with the pre-tokenizers gpt-2, smollm, llama-bpe
/// and qwen2) or "llama" (SentencePiece BPE). IoError: path, key, what is wrong, what would be
/// right.
TokenizerSpec read_gguf_tokenizer(const GgufMetadata& metadata);

}  // namespace varve
