// What is wrong with a policy as a whole: slots that exclude each other, a model or a cluster that
// they cannot work with. Everything at once, each with the slot or key that it is about.
#pragma once

#include <string>
#include <vector>

#include "common/policy/policy_config.h"

namespace varve {

struct Contradiction {
  std::string path;  // below cache: "budget", "policy.storage"
  std::string text;  // what is wrong, and what would be right
};

/// Of the policy alone.
std::vector<Contradiction> contradictions(const PolicyConfig& policy);

/// What a policy without contradictions of its own meets in a model, on so many ranks.
std::vector<Contradiction> contradictions_with(const PolicyConfig& policy, const ModelConfig& model,
                                               DType kv_dtype, std::size_t ranks);

/// And in a document of `rows` rows.
std::vector<Contradiction> contradictions_with_document(const PolicyConfig& policy,
                                                        const ModelConfig& model, DType kv_dtype,
                                                        std::size_t rows);

}  // namespace varve
