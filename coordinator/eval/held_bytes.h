// What a policy holds of a document, as a job of that document and its questions would.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/model/model_config.h"
#include "common/policy/policy_config.h"
#include "common/policy/sequence_rows.h"
#include "coordinator/eval/eval_source.h"

namespace varve {

/// Own rows of questions, as the planner counts them: a scored answer is part of the prompt.
std::vector<OwnRows> own_rows(std::span<const EvalQuestion> questions);

/// Bytes of cached rows and of what is observed for a policy, in all layers, with one question at a
/// time. Where they depend on the text, the most that they can be.
struct HeldBytes {
  std::size_t peak = 0;   // at any time
  std::size_t after = 0;  // of the document, when it is read and compacted
  std::size_t rows = 0;   // of the document that are kept, per key head and layer on average
};
HeldBytes held_bytes(const PolicyConfig& policy, const ModelConfig& model, DType kv_dtype,
                     std::size_t chunk, std::size_t document_rows,
                     std::span<const EvalQuestion> questions);

}  // namespace varve
