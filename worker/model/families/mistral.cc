// Mistral 7B (arXiv 2310.06825): the layers of Llama. What tells them apart, attention limited to a
// sliding window of recent tokens, is ModelConfig's to say.
#include "worker/model/family.h"

namespace varve {

// kLlama is initialised at compile time, so the order among source files does not matter.
const Family kMistral = {.name = "mistral", .load = kLlama.load};

}  // namespace varve
