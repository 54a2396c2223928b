// Attention that the newest queries pay to the rows of a layer.
#pragma once

#include "worker/policy/scorer.h"

namespace varve {

/// Of the last `count` observed queries, or of all that there are: the mean probability that they
/// give each row, [Hkv, rows], over the query heads of each key head too.
void window_attention(const LayerRows& rows, std::size_t count, Matrix attention);

/// The same of one key head, its query heads apart: [Hq / Hkv, rows].
void window_attention_apart(const LayerRows& rows, std::size_t head, std::size_t count,
                            Matrix attention);

}  // namespace varve
