#include "kernels/cuda/gemm.h"

#include <fmt/format.h>

#include "common/error.h"

namespace varve::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20U;  // what NVIDIA advises for Hopper

std::uint32_t typical_rows(RowClass rows) {
  return rows == RowClass::kFew ? 16 : 512;
}

void check_blas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(fmt::format("cuBLASLt cannot {}: {} ({})", what,
                                cublasLtGetStatusString(status), cublasLtGetStatusName(status)));
}

cudaDataType_t type_of(WeightFormat format) {
  return format == WeightFormat::kF32 ? CUDA_R_32F : CUDA_R_16BF;
}

template <class T>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check_blas(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value),
             "describe a product");
}

// A matrix of columns of `length` numbers.
class Layout {
 public:
  Layout(cudaDataType_t type, std::uint64_t length, std::uint64_t columns, std::int64_t stride) {
    check_blas(cublasLtMatrixLayoutCreate(&layout_, type, length, columns, stride),
               "describe a matrix");
  }
  ~Layout() { static_cast<void>(cublasLtMatrixLayoutDestroy(layout_)); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  cublasLtMatrixLayout_t layout_ = nullptr;
};

// cuBLASLt counts in columns: w is K x N and taken transposed, x is K x T, y is N x T.
struct Layouts {
  Layouts(const Product& p, std::uint32_t rows)
      : w(type_of(p.format), p.k, p.y.cols, p.k),
        x(type_of(p.format), p.k, rows, static_cast<std::int64_t>(p.x_stride)),
        y(CUDA_R_32F, p.y.cols, rows, static_cast<std::int64_t>(p.y.stride)) {}
  Layout w, x, y;
};

class Preference {
 public:
  Preference() {
    check_blas(cublasLtMatmulPreferenceCreate(&preference_), "state a preference");
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
    // No sums in parts along K.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  }
  ~Preference() { static_cast<void>(cublasLtMatmulPreferenceDestroy(preference_)); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
  cublasLtMatmulPreference_t get() const { return preference_; }

 private:
  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
    check_blas(cublasLtMatmulPreferenceSetAttribute(preference_, attribute, &value, sizeof value),
               "state a preference");
  }
  cublasLtMatmulPreference_t preference_ = nullptr;
};

}  // namespace

Gemm::Gemm(Device& device) : device_(device), workspace_(device.allocate(kWorkspaceBytes)) {
  check_blas(cublasLtCreate(&handle_), "start");
}

Gemm::~Gemm() {
  for (auto& [key, plan] : plans_) {
    static_cast<void>(cublasLtMatmulDescDestroy(plan.operation));
  }
  static_cast<void>(cublasLtDestroy(handle_));
}

void Gemm::multiply(const Product& p) {
  if (p.y.rows == 0) return;
  const Plan& plan = plan_of(p);
  if (p.bias != nullptr) set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  const Layouts layouts(p, p.y.rows);
  const float one = 1;
  const float zero = 0;
  check_blas(
      cublasLtMatmul(handle_, plan.operation, &one, p.w, layouts.w.get(), p.x, layouts.x.get(),
                     &zero, p.y.data, layouts.y.get(), p.y.data, layouts.y.get(), &plan.algorithm,
                     workspace_.data(), kWorkspaceBytes, device_.stream()),
      "multiply");
}

Gemm::Plan& Gemm::plan_of(const Product& p) {
  const Key key{p.format, p.y.cols, p.k, p.rows, p.bias != nullptr};
  const auto [at, is_new] = plans_.try_emplace(key);
  Plan& plan = at->second;
  if (!is_new) return plan;
  check_blas(cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
             "describe a product");
  set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  if (p.bias != nullptr) {
    set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  }
  plan.algorithm = choose(p, plan.operation);
  return plan;
}

cublasLtMatmulAlgo_t Gemm::choose(const Product& p, cublasLtMatmulDesc_t operation) {
  const Layouts layouts(p, typical_rows(p.rows));
  const Preference preference;
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle_, operation, layouts.w.get(), layouts.x.get(), layouts.y.get(), layouts.y.get(),
      preference.get(), 1, &result, &found);
  if (status != CUBLAS_STATUS_SUCCESS || found == 0) {
    throw DeviceError(
        fmt::format("cuBLASLt has no algorithm for products of {} with a weight of {} x {}",
                    p.format == WeightFormat::kF32 ? "float32" : "bfloat16", p.y.cols, p.k));
  }
  return result.algo;
}

}  // namespace varve::cuda
