#include "tests/cuda_on_cpu/fakes/nccl_reduce.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace varve::fakes {
namespace {

template <class T>
auto widen(T value) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __bfloat162float(value);
  } else if constexpr (std::is_same_v<T, __half>) {
    return __half2float(value);
  } else {
    return value;
  }
}

template <class T, class Wide>
T narrow(Wide value) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __float2bfloat16(value);
  } else if constexpr (std::is_same_v<T, __half>) {
    return __float2half(value);
  } else {
    return static_cast<T>(value);
  }
}

// Integers wrap, as on the device.
template <class Wide>
Wide combine(Wide x, Wide y, ncclRedOp_t op) {
  if (op == ncclMax) return std::max(x, y);
  if (op == ncclMin) return std::min(x, y);
  if constexpr (std::is_integral_v<Wide>) {
    const auto a = static_cast<std::uint64_t>(x);
    const auto b = static_cast<std::uint64_t>(y);
    return static_cast<Wide>(op == ncclProd ? a * b : a + b);
  } else {
    return op == ncclProd ? x * y : x + y;
  }
}

template <class T>
T element(const std::vector<std::byte>& input, std::size_t i) {
  T value;
  std::memcpy(&value, input.data() + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void reduce_as(const std::vector<std::vector<std::byte>>& inputs, std::size_t count, ncclRedOp_t op,
               T* out) {
  for (std::size_t i = 0; i < count; ++i) {
    auto sum = widen(element<T>(inputs[0], i));
    for (std::size_t rank = 1; rank < inputs.size(); ++rank) {
      sum = combine(sum, widen(element<T>(inputs[rank], i)), op);
    }
    using Wide = decltype(sum);
    if (op == ncclAvg) sum = static_cast<Wide>(sum / static_cast<Wide>(inputs.size()));
    out[i] = narrow<T>(sum);
  }
}

}  // namespace

std::size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
      return 8;
    default:
      return 0;
  }
}

void reduce(const std::vector<std::vector<std::byte>>& inputs, std::size_t count,
            ncclDataType_t type, ncclRedOp_t op, void* out) {
  switch (type) {
    case ncclInt8:
      return reduce_as(inputs, count, op, static_cast<std::int8_t*>(out));
    case ncclUint8:
      return reduce_as(inputs, count, op, static_cast<std::uint8_t*>(out));
    case ncclInt32:
      return reduce_as(inputs, count, op, static_cast<std::int32_t*>(out));
    case ncclUint32:
      return reduce_as(inputs, count, op, static_cast<std::uint32_t*>(out));
    case ncclInt64:
      return reduce_as(inputs, count, op, static_cast<std::int64_t*>(out));
    case ncclUint64:
      return reduce_as(inputs, count, op, static_cast<std::uint64_t*>(out));
    case ncclFloat16:
      return reduce_as(inputs, count, op, static_cast<__half*>(out));
    case ncclBfloat16:
      return reduce_as(inputs, count, op, static_cast<__nv_bfloat16*>(out));
    case ncclFloat64:
      return reduce_as(inputs, count, op, static_cast<double*>(out));
    default:
      return reduce_as(inputs, count, op, static_cast<float*>(out));
  }
}

}  // namespace varve::fakes
