// Bytes of compacted rows. The planner adds them up and the compactor allocates them.
#pragma once

#include <cstddef>

#include "common/policy/policy_config.h"

namespace varve {

/// One layer's kept rows as the policy stores them: a segment in few bits and one in `kv_dtype`, in
/// which each key head has its own positions. Integer formats take whole groups of 32 rows.
struct KeptBytes {
  std::size_t held = 0;
  /// Most while they are made from a layer's full rows, which are not counted: what is to be stored
  /// in few bits is first copied as floats.
  std::size_t making = 0;
};

/// `rows` of every key head.
KeptBytes kept_bytes(const PolicyConfig& policy, const ModelConfig& model, std::size_t rows,
                     DType kv_dtype);
/// The most that it can be where `rows` rows in all are spread over `heads` key heads, of one layer
/// or of several, in a way that is not known before.
KeptBytes most_kept_bytes(const PolicyConfig& policy, const ModelConfig& model, std::size_t heads,
                          std::size_t rows, DType kv_dtype);

/// Whether the bytes of each layer follow from counts alone, or also from what the text is.
bool is_known_before(const PolicyConfig& policy);

}  // namespace varve
