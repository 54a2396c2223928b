// The tokenizer that belongs to a model.
#pragma once

#include "common/model/model_files.h"
#include "common/text/tokenizer.h"

namespace varve {

/// From the GGUF metadata or from tokenizer.json beside the weights. IoError: a tokenizer that is
/// missing, wrong, or larger than the model's vocabulary.
Tokenizer load_tokenizer(const ModelFiles& files);

}  // namespace varve
