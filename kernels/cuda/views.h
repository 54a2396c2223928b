// Views of ops.h as kernels take them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/shapes.h"
#include "kernels/ops.h"

namespace varve::cuda {

inline ConstRows rows_of(const ConstMatrix& m) {
  return {m.data, static_cast<std::uint32_t>(m.rows), static_cast<std::uint32_t>(m.cols), m.stride};
}

inline Rows rows_of(const Matrix& m) {
  return {m.data, static_cast<std::uint32_t>(m.rows), static_cast<std::uint32_t>(m.cols), m.stride};
}

inline Partials partials_of(const Partial& p) {
  return {p.out.data, p.lse.data, p.out.stride, p.lse.stride};
}

}  // namespace varve::cuda
