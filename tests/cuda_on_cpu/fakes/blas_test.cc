#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <random>

#include "tests/cuda_on_cpu/fakes/fixture.h"

#define EXPECT_BLAS(call) EXPECT_EQ(CUBLAS_STATUS_SUCCESS, (call)) << last_refusal()

namespace varve::fakes {
namespace {

using testing::HasSubstr;

/// D (m, n) = A^T (m, k) B (k, n), all by columns, as a layer's weights are used.
class Product {
 public:
  Product(std::int64_t m, std::int64_t n, std::int64_t k, cudaDataType in = CUDA_R_16BF,
          cudaDataType out = CUDA_R_32F)
      : m_(m), n_(n), k_(k) {
    const auto rows = static_cast<std::uint64_t>(m);
    const auto columns = static_cast<std::uint64_t>(n);
    const auto depth = static_cast<std::uint64_t>(k);
    EXPECT_BLAS(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T});
    EXPECT_BLAS(cublasLtMatrixLayoutCreate(&a, in, depth, rows, k));
    EXPECT_BLAS(cublasLtMatrixLayoutCreate(&b, in, depth, columns, k));
    EXPECT_BLAS(cublasLtMatrixLayoutCreate(&d, out, rows, columns, m));
    EXPECT_BLAS(cublasLtMatmulPreferenceCreate(&preference));
    EXPECT_BLAS(cublasLtCreate(&handle));
  }
  ~Product() {
    EXPECT_BLAS(cublasLtMatmulDescDestroy(operation));
    for (const cublasLtMatrixLayout_t layout : {a, b, d}) {
      EXPECT_BLAS(cublasLtMatrixLayoutDestroy(layout));
    }
    EXPECT_BLAS(cublasLtMatmulPreferenceDestroy(preference));
    EXPECT_BLAS(cublasLtDestroy(handle));
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    EXPECT_BLAS(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value));
  }
  template <class T>
  void prefer(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    EXPECT_BLAS(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
  }
  std::vector<cublasLtMatmulHeuristicResult_t> recommended() {
    std::vector<cublasLtMatmulHeuristicResult_t> results(8);
    int count = 0;
    EXPECT_BLAS(cublasLtMatmulAlgoGetHeuristic(handle, operation, a, b, d, d, preference, 8,
                                               results.data(), &count));
    results.resize(static_cast<std::size_t>(count));
    return results;
  }
  cublasStatus_t run(const void* pa, const void* pb, void* pd, cudaStream_t stream,
                     const cublasLtMatmulAlgo_t* algorithm = nullptr, void* workspace = nullptr,
                     std::size_t bytes = 0, float beta = 0) {
    const float alpha = 1;
    return cublasLtMatmul(handle, operation, &alpha, pa, a, pb, b, &beta, pd, d, pd, d, algorithm,
                          workspace, bytes, stream);
  }

  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  std::int64_t m_, n_, k_;
};

template <class T>
std::vector<T> numbers(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<T> made(static_cast<std::size_t>(count));
  for (T& value : made) {
    if constexpr (std::is_same_v<T, float>) {
      value = uniform(random);
    } else if constexpr (std::is_same_v<T, __half>) {
      value = __float2half(uniform(random));
    } else {
      value = __float2bfloat16(uniform(random));
    }
  }
  return made;
}

float as_float(float value) {
  return value;
}
float as_float(__half value) {
  return __half2float(value);
}
float as_float(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

class Blas : public testing::Test {
 protected:
  Blas() { configure(settings_for(Order::kLazy)); }

  template <class T>
  T* upload(const std::vector<T>& host) {
    T* p = resources_.device<T>(host.size());
    EXPECT_CUDA(
        cudaMemcpyAsync(p, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice, stream_));
    EXPECT_CUDA(cudaStreamSynchronize(stream_));
    return p;
  }
  template <class T>
  std::vector<T> download(const T* p, std::int64_t count) {
    std::vector<T> host(static_cast<std::size_t>(count));
    EXPECT_CUDA(
        cudaMemcpyAsync(host.data(), p, host.size() * sizeof(T), cudaMemcpyDeviceToHost, stream_));
    EXPECT_CUDA(cudaStreamSynchronize(stream_));
    return host;
  }

  template <class In, class Out>
  void expect_right(std::int64_t m, std::int64_t n, std::int64_t k, cudaDataType in,
                    cudaDataType out, float tolerance) {
    Product product(m, n, k, in, out);
    const auto a = numbers<In>(m * k, 1);
    const auto b = numbers<In>(n * k, 2);
    Out* d = resources_.device<Out>(static_cast<std::size_t>(m * n));
    EXPECT_BLAS(product.run(upload(a), upload(b), d, stream_));
    const auto result = download(d, m * n);
    for (std::int64_t row = 0; row < m; ++row) {
      for (std::int64_t column = 0; column < n; ++column) {
        float sum = 0;
        for (std::int64_t i = 0; i < k; ++i) {
          sum += as_float(a[static_cast<std::size_t>(row * k + i)]) *
                 as_float(b[static_cast<std::size_t>(column * k + i)]);
        }
        EXPECT_NEAR(as_float(result[static_cast<std::size_t>(column * m + row)]), sum, tolerance);
      }
    }
  }

  Resources resources_;
  cudaStream_t stream_ = resources_.stream();
};

// In float the sums are in the order of this plain loop: equal bit for bit.
TEST_F(Blas, AddsInAscendingK) {
  expect_right<float, float>(19, 7, 33, CUDA_R_32F, CUDA_R_32F, 0);
  expect_right<__nv_bfloat16, float>(8, 4, 64, CUDA_R_16BF, CUDA_R_32F, 0);
  expect_right<__half, float>(9, 5, 16, CUDA_R_16F, CUDA_R_32F, 0);
}

TEST_F(Blas, RoundsItsResult) {
  expect_right<__nv_bfloat16, __nv_bfloat16>(17, 3, 40, CUDA_R_16BF, CUDA_R_16BF, 0.02F);
  expect_right<__half, __half>(17, 3, 40, CUDA_R_16F, CUDA_R_16F, 0.003F);
}

TEST_F(Blas, KnowsRowsTransposesAndLeadingDimensions) {
  // D by rows, 2 x 3 within rows of 4 = A (2 x 2, by rows) B^T, B is 3 x 2 by columns.
  Product product(2, 3, 2, CUDA_R_32F);
  const auto shape = [](cublasLtMatrixLayout_t layout, std::uint64_t rows, std::uint64_t columns,
                        std::int64_t ld, std::int32_t order) {
    const auto set = [layout](cublasLtMatrixLayoutAttribute_t attribute, auto value) {
      EXPECT_BLAS(cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value));
    };
    set(CUBLASLT_MATRIX_LAYOUT_ROWS, rows);
    set(CUBLASLT_MATRIX_LAYOUT_COLS, columns);
    set(CUBLASLT_MATRIX_LAYOUT_LD, ld);
    set(CUBLASLT_MATRIX_LAYOUT_ORDER, order);
  };
  product.set(CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_N});
  product.set(CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t{CUBLAS_OP_T});
  shape(product.a, 2, 2, 2, CUBLASLT_ORDER_ROW);
  shape(product.b, 3, 2, 3, CUBLASLT_ORDER_COL);
  shape(product.d, 2, 3, 4, CUBLASLT_ORDER_ROW);
  const float* a = upload(std::vector<float>{1, 2, 3, 4});
  const float* b = upload(std::vector<float>{1, 2, 3, 10, 20, 30});
  float* d = upload(std::vector<float>(8, -1));
  EXPECT_BLAS(product.run(a, b, d, stream_));
  EXPECT_THAT(download(d, 8), testing::ElementsAre(21, 42, 63, -1, 43, 86, 129, -1));
}

TEST_F(Blas, AddsABias) {
  Product product(3, 2, 4, CUDA_R_32F);
  product.set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_BIAS});
  product.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER,
              static_cast<const void*>(upload(std::vector<float>{1, 2, 3})));
  const float* a = upload(std::vector<float>(12, 1));
  const float* b = upload(std::vector<float>(8, 1));
  float* d = resources_.device<float>(6);
  EXPECT_BLAS(product.run(a, b, d, stream_));
  EXPECT_THAT(download(d, 6), testing::ElementsAre(5, 6, 7, 5, 6, 7));
}

TEST_F(Blas, AddsToCOnlyIfBetaIsNotZero) {
  Product product(2, 2, 4, CUDA_R_32F);
  const float* a = upload(std::vector<float>(8, 1));
  const float* b = upload(std::vector<float>(8, 1));
  float* fresh = resources_.device<float>(4);  // NaN
  EXPECT_BLAS(product.run(a, b, fresh, stream_, nullptr, nullptr, 0, 0));
  EXPECT_THAT(download(fresh, 4), testing::Each(4.0F));
  EXPECT_BLAS(product.run(a, b, fresh, stream_, nullptr, nullptr, 0, 2));
  EXPECT_THAT(download(fresh, 4), testing::Each(12.0F));
}

TEST_F(Blas, RecommendsToSplitKUnlessToldNotTo) {
  Product product(64, 4, 256);
  product.prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{1 << 20});
  const auto splits = [](const cublasLtMatmulHeuristicResult_t& result) {
    std::int32_t pieces = 0;
    EXPECT_BLAS(cublasLtMatmulAlgoConfigGetAttribute(&result.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                     &pieces, sizeof pieces, nullptr));
    return pieces;
  };
  EXPECT_EQ(splits(product.recommended().front()), 2);
  EXPECT_EQ(product.recommended().front().workspaceSize, 2U * 64 * 4 * 4);
  product.prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                 std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  for (const auto& result : product.recommended()) EXPECT_EQ(splits(result), 1);
}

// The bits of a row must not depend on how many rows there are: only a pinned algorithm promises.
TEST_F(Blas, SplittingKChangesTheBits) {
  Product product(64, 4, 256);
  product.prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{1 << 20});
  const auto* a = upload(numbers<__nv_bfloat16>(64 * 256, 1));
  const auto* b = upload(numbers<__nv_bfloat16>(4 * 256, 2));
  float* whole = resources_.device<float>(256);
  float* split = resources_.device<float>(256);
  float* workspace = resources_.device<float>(512);
  EXPECT_BLAS(product.run(a, b, whole, stream_));
  const auto recommended = product.recommended();
  EXPECT_EQ(product.run(a, b, split, stream_, &recommended.front().algo),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(last_refusal(), HasSubstr("workspace of 0 bytes"));
  EXPECT_BLAS(product.run(a, b, split, stream_, &recommended.front().algo, workspace, 2048));
  const auto x = download(whole, 256);
  const auto y = download(split, 256);
  EXPECT_NE(x, y);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-4);
}

TEST_F(Blas, AnAlgorithmCanBePinned) {
  cublasLtMatmulAlgo_t pinned{};
  Product product(64, 4, 256);
  int ids[4];
  int count = 0;
  EXPECT_BLAS(cublasLtMatmulAlgoGetIds(product.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF,
                                       CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F, 4, ids, &count));
  ASSERT_GE(count, 1);
  EXPECT_BLAS(cublasLtMatmulAlgoInit(product.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF,
                                     CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F, ids[0], &pinned));
  cublasLtMatmulHeuristicResult_t result{};
  const auto check = [&] {
    return cublasLtMatmulAlgoCheck(product.handle, product.operation, product.a, product.b,
                                   product.d, product.d, &pinned, &result);
  };
  EXPECT_EQ(check(), CUBLAS_STATUS_NOT_SUPPORTED);  // no tile yet
  const auto set = [&pinned](cublasLtMatmulAlgoConfigAttributes_t attribute, std::uint32_t value) {
    EXPECT_BLAS(cublasLtMatmulAlgoConfigSetAttribute(&pinned, attribute, &value, sizeof value));
  };
  set(CUBLASLT_ALGO_CONFIG_TILE_ID, CUBLASLT_MATMUL_TILE_64x64);
  set(CUBLASLT_ALGO_CONFIG_STAGES_ID, CUBLASLT_MATMUL_STAGES_64x3);
  EXPECT_BLAS(check());
  EXPECT_EQ(result.workspaceSize, 0U);
  const std::int32_t pieces = 4;
  EXPECT_BLAS(cublasLtMatmulAlgoConfigSetAttribute(&pinned, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                                   &pieces, sizeof pieces));
  EXPECT_EQ(check(), CUBLAS_STATUS_NOT_SUPPORTED);  // no scheme to reduce them by
}

TEST_F(Blas, NamesWhatIsNotAligned) {
  Product product(64, 4, 256);
  const auto recommended = product.recommended();
  const auto* a = upload(numbers<__nv_bfloat16>(64 * 256 + 1, 1));
  const auto* b = upload(numbers<__nv_bfloat16>(4 * 256, 2));
  float* d = resources_.device<float>(256);
  EXPECT_EQ(product.run(a + 1, b, d, stream_, &recommended.front().algo),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(last_refusal(), testing::ContainsRegex("A at 0x.* is not aligned to 16 bytes"));
  EXPECT_BLAS(product.run(a + 1, b, d, stream_));  // another algorithm is chosen then
  // Leading dimensions that do not suit the wide algorithm are not offered to it.
  Product odd(63, 4, 255);
  EXPECT_EQ(odd.recommended().size(), 1U);
  cublasLtMatmulHeuristicResult_t result{};
  EXPECT_EQ(cublasLtMatmulAlgoCheck(odd.handle, odd.operation, odd.a, odd.b, odd.d, odd.d,
                                    &recommended.front().algo, &result),
            CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_F(Blas, NamesWhatDoesNotFit) {
  Product product(64, 4, 256);
  Product other(64, 4, 128);
  const auto* a = upload(numbers<__nv_bfloat16>(64 * 256, 1));
  const auto* b = upload(numbers<__nv_bfloat16>(4 * 256 - 1, 2));
  float* d = resources_.device<float>(256);
  EXPECT_EQ(product.run(a, b, d, stream_), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(last_refusal(), HasSubstr("B: 2048 bytes where the block has 2046 left"));
  EXPECT_EQ(product.run(a, a, d, nullptr), CUBLAS_STATUS_INVALID_VALUE);
  std::vector<float> host(256);
  EXPECT_EQ(product.run(a, a, host.data(), stream_), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(last_refusal(), HasSubstr("not device memory"));
  std::swap(product.b, other.b);
  EXPECT_EQ(product.run(a, a, d, stream_), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(last_refusal(), HasSubstr("op(A) has 256 columns, op(B) 128 rows"));
}

TEST_F(Blas, RefusesWhatItDoesNotFake) {
  Product product(64, 4, 256);
  const std::int32_t batches = 2;
  EXPECT_BLAS(cublasLtMatrixLayoutSetAttribute(product.b, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                               &batches, sizeof batches));
  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  EXPECT_EQ(
      cublasLtMatmulAlgoGetHeuristic(product.handle, product.operation, product.a, product.b,
                                     product.d, product.d, product.preference, 1, &result, &count),
      CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_THAT(last_refusal(), HasSubstr("B: batches are not faked"));
  const std::int64_t wrong_size = 0;
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(product.operation, CUBLASLT_MATMUL_DESC_TRANSA,
                                           &wrong_size, sizeof wrong_size),
            CUBLAS_STATUS_INVALID_VALUE);
}

TEST_F(Blas, CanBeCaptured) {
  Product product(2, 2, 4, CUDA_R_32F);
  const float* a = upload(std::vector<float>(8, 1));
  const float* b = upload(std::vector<float>(8, 1));
  float* d = resources_.device<float>(4);
  EXPECT_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  EXPECT_BLAS(product.run(a, b, d, stream_));
  cudaGraph_t graph = nullptr;
  EXPECT_CUDA(cudaStreamEndCapture(stream_, &graph));
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
  EXPECT_CUDA(cudaGraphLaunch(instance, stream_));
  EXPECT_THAT(download(d, 4), testing::Each(4.0F));
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  EXPECT_CUDA(cudaGraphDestroy(graph));
}

}  // namespace
}  // namespace varve::fakes
