#include "common/text/load_tokenizer.h"

#include "common/error.h"
#include "common/text/tokenizer_gguf.h"
#include "common/text/tokenizer_json.h"

namespace varve {

Tokenizer load_tokenizer(const ModelFiles& files) {
  if (files.source == ModelSource::kHuggingFace && !std::filesystem::exists(files.tokenizer_path)) {
    throw IoError(fmt::format("{}: is missing; a model in a folder brings its tokenizer in it",
                              files.tokenizer_path.string()));
  }
  Tokenizer tokenizer(files.source == ModelSource::kGguf
                          ? read_gguf_tokenizer(*files.gguf)
                          : read_tokenizer_json(files.tokenizer_path));
  if (tokenizer.size() > files.config.vocab) {
    throw IoError(fmt::format("{}: the tokenizer has {} tokens, but the model {}",
                              files.tokenizer_path.string(), tokenizer.size(), files.config.vocab));
  }
  return tokenizer;
}

}  // namespace varve
