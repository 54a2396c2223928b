// How many rows of its own a question needs. The planner, the batcher and the worker's allocation
// all go by these two lines.
#pragma once

#include <algorithm>
#include <cstddef>

#include "common/error.h"

namespace varve {

/// Most tokens that the answer may have: as asked, or as many as the context leaves. The last one
/// is never fed back, so it needs neither a row nor a position. `prefix` + `tokens` must fit the
/// context.
inline std::size_t answer_limit(std::size_t prefix, std::size_t tokens, std::size_t max_tokens,
                                std::size_t context) {
  VARVE_CHECK(prefix + tokens <= context, "{} + {} tokens in a context of {}", prefix, tokens,
              context);
  return std::min(max_tokens, context - prefix - tokens + 1);
}

/// Rows of a question of `tokens` tokens and its answer of `answer`.
inline std::size_t question_rows(std::size_t tokens, std::size_t answer) {
  return tokens + answer - 1;
}

}  // namespace varve
