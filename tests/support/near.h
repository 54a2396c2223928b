// Comparing matrices of float32 with a tolerance that the caller derives per element, or bit by
// bit.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>

#include "common/tensor.h"

namespace varve::test {

/// Unit roundoff of float32: one rounding changes a value by at most this fraction.
inline constexpr double kEps = 0x1p-24;

/// |got - want| <= bound(row, col) everywhere; NaN only where both have it, infinities equal. A
/// failure names the element that exceeds its bound by the greatest factor.
testing::AssertionResult near(const ConstMatrix& got, const ConstMatrix& want,
                              const std::function<double(std::size_t, std::size_t)>& bound);

/// Every element has the same 32 bits. A failure names the first that differs.
testing::AssertionResult same_bits(const ConstMatrix& got, const ConstMatrix& want);

}  // namespace varve::test
