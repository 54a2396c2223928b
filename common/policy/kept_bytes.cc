#include "common/policy/kept_bytes.h"

#include <algorithm>

#include "common/cached_rows.h"

namespace varve {
namespace {

std::size_t head_bytes(const ModelConfig& model, std::size_t rows, DType dtype) {
  return key_bytes(dtype, rows, model.head_dim) + value_bytes(dtype, rows, model.head_dim) +
         stored_rows(dtype, rows) * sizeof(std::int32_t);
}

// Few bits are made before the float tail, from floats that are gone by then.
KeptBytes joined(std::size_t staging, std::size_t few_bits, std::size_t tail) {
  return {few_bits + tail, few_bits + std::max(staging, tail)};
}

}  // namespace

KeptBytes kept_bytes(const PolicyConfig& policy, const ModelConfig& model, std::size_t rows,
                     DType kv_dtype) {
  const std::optional<DType> few_bits = storage_dtype(policy);
  const std::size_t tail = few_bits ? std::min(rows, storage_tail(policy)) : rows;
  const std::size_t body = rows - tail;
  const auto of_heads = [&](std::size_t count, DType dtype) {
    return model.kv_heads * head_bytes(model, count, dtype);
  };
  const std::size_t encoded = few_bits ? of_heads(body, *few_bits) : 0;
  return joined(of_heads(body, kv_dtype), encoded, of_heads(tail, kv_dtype));
}

KeptBytes most_kept_bytes(const PolicyConfig& policy, const ModelConfig& model, std::size_t heads,
                          std::size_t rows, DType kv_dtype) {
  const std::optional<DType> few_bits = storage_dtype(policy);
  if (!few_bits) return joined(0, 0, head_bytes(model, rows, kv_dtype));
  // A row takes more as a float, and each head may have one group that is all but empty.
  const std::size_t tail = std::min(rows, heads * storage_tail(policy));
  const std::size_t body = rows - tail;
  const std::size_t groups = body / kRowGroup + std::min(body, heads);
  return joined(head_bytes(model, rows, kv_dtype), head_bytes(model, groups * kRowGroup, *few_bits),
                head_bytes(model, tail, kv_dtype));
}

bool is_known_before(const PolicyConfig& policy) {
  if (policy.allocation.name == "uncertainty") return false;
  return policy.allocation.name != "per_head" || !storage_dtype(policy);
}

}  // namespace varve
