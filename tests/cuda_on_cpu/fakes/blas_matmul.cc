// The products of cuBLASLt, and its questions about them.
#include <cublasLt.h>
#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "tests/cuda_on_cpu/fakes/blas_records.h"
#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/gemm.h"
#include "tests/cuda_on_cpu/fakes/memory_place.h"

namespace varve::fakes {
namespace {

cublasStatus_t refuse(Call& call, cublasStatus_t status, const std::string& why) {
  call.explain(why);
  return status;
}

std::optional<Problem> unpack_problem(cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                                      cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                      cublasLtMatrixLayout_t d) {
  if (operation == nullptr || a == nullptr || b == nullptr || c == nullptr || d == nullptr) {
    return std::nullopt;
  }
  Problem problem;
  problem.operation = unpack<Operation>(*operation);
  problem.a = unpack<Layout>(*a);
  problem.b = unpack<Layout>(*b);
  problem.c = unpack<Layout>(*c);
  problem.d = unpack<Layout>(*d);
  return problem;
}

cublasStatus_t check_handle(Call& call, cublasLtHandle_t handle) {
  if (handle == nullptr) return refuse(call, CUBLAS_STATUS_NOT_INITIALIZED, "no handle");
  if (handle->device == call.thread().device) return CUBLAS_STATUS_SUCCESS;
  return refuse(call, CUBLAS_STATUS_INVALID_VALUE, "the handle is of another device");
}

cublasStatus_t check(Call& call, cublasLtHandle_t handle, std::optional<Problem>& problem) {
  if (const auto status = check_handle(call, handle)) return status;
  if (!problem) return refuse(call, CUBLAS_STATUS_INVALID_VALUE, "a descriptor is missing");
  std::string why;
  const auto status = check_problem(*problem, why);
  return status == CUBLAS_STATUS_SUCCESS ? status : refuse(call, status, why);
}

cublasStatus_t recommend(Call& call, const Problem& problem, const Preference& preference,
                         std::span<cublasLtMatmulHeuristicResult_t> results, int* count) {
  *count = 0;
  for (const Algorithm& algorithm : choose_algorithms(problem, preference)) {
    if (static_cast<std::size_t>(*count) == results.size()) break;
    auto& result = results[static_cast<std::size_t>((*count)++)];
    result = {};
    pack(algorithm, result.algo);
    result.workspaceSize = workspace_of(algorithm, problem);
    result.state = CUBLAS_STATUS_SUCCESS;
    result.wavesCount = 1;
  }
  if (*count > 0) return CUBLAS_STATUS_SUCCESS;
  return refuse(call, CUBLAS_STATUS_INVALID_VALUE, "no algorithm was asked for");
}

/// The operands of one product, in the order A, B, C, D.
struct Operands {
  std::array<const void*, 4> data;
  std::array<const Layout*, 4> layouts;
};
constexpr std::array kNames = {"A", "B", "C", "D"};

std::size_t extent(const Layout& layout) {
  const bool by_row = layout.order == CUBLASLT_ORDER_ROW;
  const std::uint64_t lines = by_row ? layout.rows : layout.columns;
  const std::uint64_t line = by_row ? layout.columns : layout.rows;
  return ((lines - 1) * static_cast<std::uint64_t>(layout.ld) + line) *
         size_of(static_cast<cudaDataType>(layout.type));
}

bool aligned(const void* p, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// Adds to `places` the memory that the product uses.
cublasStatus_t check_memory(Call& call, const Operands& operands, bool reads_c,
                            const Algorithm& algorithm, std::vector<Place>& places) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (i == 2 && !reads_c) continue;
    const auto type = static_cast<cudaDataType>(operands.layouts[i]->type);
    const std::size_t alignment = alignment_of(algorithm, type);
    if (!aligned(operands.data[i], alignment)) {
      return refuse(call, CUBLAS_STATUS_INVALID_VALUE,
                    fmt::format("{} at {} is not aligned to {} bytes, as algorithm {} needs",
                                kNames[i], operands.data[i], alignment, algorithm.id));
    }
    std::string why;
    const auto place = find_place(call.machine(), operands.data[i], extent(*operands.layouts[i]),
                                  Side::kDevice, why);
    if (!place) {
      return refuse(call, CUBLAS_STATUS_INVALID_VALUE, fmt::format("{}: {}", kNames[i], why));
    }
    places.push_back(*place);
  }
  return CUBLAS_STATUS_SUCCESS;
}

bool overlap(const Place& x, const Place& y) {
  const auto* a = static_cast<const std::byte*>(x.begin);
  const auto* b = static_cast<const std::byte*>(y.begin);
  return a < b + y.bytes && b < a + x.bytes;
}

cublasStatus_t check_extra(Call& call, const char* name, const void* p, std::size_t bytes,
                           std::vector<Place>& places) {
  std::string why;
  const auto place = find_place(call.machine(), p, bytes, Side::kDevice, why);
  if (!place) return refuse(call, CUBLAS_STATUS_INVALID_VALUE, fmt::format("{}: {}", name, why));
  places.push_back(*place);
  return CUBLAS_STATUS_SUCCESS;
}

Matrix matrix(const void* data, const Layout& layout, bool transposed) {
  const bool by_row = layout.order == CUBLASLT_ORDER_ROW;
  Matrix made;
  made.data = const_cast<void*>(data);
  made.type = static_cast<cudaDataType>(layout.type);
  made.row_stride = by_row != transposed ? layout.ld : 1;
  made.column_stride = by_row != transposed ? 1 : layout.ld;
  return made;
}

Gemm make_gemm(const Problem& p, const Operands& operands, float alpha, float beta) {
  Gemm gemm;
  gemm.m = p.m;
  gemm.n = p.n;
  gemm.k = p.k;
  gemm.alpha = alpha;
  gemm.beta = beta;
  gemm.a = matrix(operands.data[0], p.a, p.operation.transpose_a != CUBLAS_OP_N);
  gemm.b = matrix(operands.data[1], p.b, p.operation.transpose_b != CUBLAS_OP_N);
  gemm.c = matrix(operands.data[2], p.c, false);
  gemm.d = matrix(operands.data[3], p.d, false);
  if (p.operation.epilogue == CUBLASLT_EPILOGUE_BIAS) gemm.bias = p.operation.bias;
  gemm.bias_type = gemm.d.type;
  return gemm;
}

// A product in pieces is two steps, between which other streams run: two products that share a
// workspace in two streams spoil each other's, as they may on a GPU.
Work product(const Gemm& gemm, int pieces, float* sums, const std::vector<Place>& places) {
  return [=, summed = false]() mutable {
    for (const Place& place : places) check_place(Machine::get(), place, "cublasLtMatmul");
    if (pieces <= 1) {
      run_gemm(gemm);
      return Progress::kDone;
    }
    if (summed) {
      add_pieces(gemm, pieces, sums);
      return Progress::kDone;
    }
    sum_pieces(gemm, pieces, sums);
    summed = true;
    return Progress::kMoved;
  };
}

/// What cublasLtMatmul is given besides the problem.
struct Arguments {
  const float* alpha;
  const float* beta;
  Operands operands;
  const cublasLtMatmulAlgo_t* algorithm;
  void* workspace;
  std::size_t workspace_bytes;
  cudaStream_t stream;
};

Algorithm algorithm_for(const Problem& problem, const Arguments& given) {
  if (given.algorithm != nullptr) return unpack<Algorithm>(*given.algorithm);
  Preference preference;
  preference.workspace = given.workspace_bytes;
  for (const void* p : given.operands.data) {
    if (!aligned(p, 16)) preference.align_a = 1;
  }
  return choose_algorithms(problem, preference).front();
}

cublasStatus_t check_aliases(Call& call, const std::vector<Place>& places, bool reads_c,
                             const Arguments& given) {
  const Place& d = places[reads_c ? 3 : 2];
  if (overlap(places[0], d) || overlap(places[1], d)) {
    return refuse(call, CUBLAS_STATUS_INVALID_VALUE, "D overlaps A or B");
  }
  const Operands& operands = given.operands;
  const bool in_place =
      operands.data[2] == operands.data[3] && operands.layouts[2]->ld == operands.layouts[3]->ld;
  if (reads_c && !in_place && overlap(places[2], d)) {
    return refuse(call, CUBLAS_STATUS_INVALID_VALUE, "D overlaps C and is not C");
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_stream(Call& call, cudaStream_t stream) {
  if (call.check_stream(stream) != cudaSuccess) return CUBLAS_STATUS_INVALID_VALUE;
  if (stream->device == call.thread().device) return CUBLAS_STATUS_SUCCESS;
  return refuse(call, CUBLAS_STATUS_INVALID_VALUE, "the stream is of another device");
}

cublasStatus_t check_workspace(Call& call, const Arguments& given, std::size_t needed,
                               std::vector<Place>& places) {
  if (needed == 0) return CUBLAS_STATUS_SUCCESS;
  if (needed > given.workspace_bytes || !aligned(given.workspace, 16)) {
    return refuse(call, CUBLAS_STATUS_INVALID_VALUE,
                  fmt::format("a workspace of {} bytes at {}; {} aligned to 16 are needed",
                              given.workspace_bytes, given.workspace, needed));
  }
  return check_extra(call, "the workspace", given.workspace, needed, places);
}

cublasStatus_t multiply(Call& call, const Problem& problem, const Arguments& given) {
  if (given.alpha == nullptr || given.beta == nullptr) {
    return refuse(call, CUBLAS_STATUS_INVALID_VALUE, "no alpha or no beta");
  }
  if (const auto status = check_stream(call, given.stream)) return status;
  const Algorithm algorithm = algorithm_for(problem, given);
  std::string why;
  if (const auto status = check_algorithm(algorithm, problem, why)) {
    return refuse(call, status, why);
  }
  const bool reads_c = *given.beta != 0;
  std::vector<Place> places;
  if (const auto s = check_memory(call, given.operands, reads_c, algorithm, places)) return s;
  if (const auto s = check_aliases(call, places, reads_c, given)) return s;
  if (problem.operation.epilogue == CUBLASLT_EPILOGUE_BIAS) {
    const std::size_t bytes =
        static_cast<std::size_t>(problem.m) * size_of(static_cast<cudaDataType>(problem.d.type));
    if (const auto s = check_extra(call, "the bias", problem.operation.bias, bytes, places)) {
      return s;
    }
  }
  const std::size_t needed = workspace_of(algorithm, problem);
  if (const auto s = check_workspace(call, given, needed, places)) return s;
  const Gemm gemm = make_gemm(problem, given.operands, *given.alpha, *given.beta);
  const auto begin = [gemm, places, pieces = algorithm.split_k,
                      sums = static_cast<float*>(given.workspace)] {
    return product(gemm, pieces, sums, places);
  };
  call.machine().put(*given.stream, {fmt::format("a product {} x {} x {}", gemm.m, gemm.n, gemm.k),
                                     NodeKind::kKernel, begin});
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  Call call("cublasLtCreate");
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (call.check_device(call.thread().device) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasLtContext{call.thread().device};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  Call call("cublasLtMatmulAlgoGetHeuristic");
  auto problem = varve::fakes::unpack_problem(operation, a, b, c, d);
  if (const auto status = varve::fakes::check(call, handle, problem)) return status;
  varve::fakes::Preference wishes;
  if (preference != nullptr) wishes = varve::fakes::unpack<varve::fakes::Preference>(*preference);
  const auto room = static_cast<std::size_t>(wanted > 0 ? wanted : 0);
  return varve::fakes::recommend(call, *problem, wishes, {results, room}, count);
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* made,
                                       cublasLtMatmulHeuristicResult_t* result) {
  Call call("cublasLtMatmulAlgoCheck");
  auto problem = varve::fakes::unpack_problem(operation, a, b, c, d);
  if (const auto status = varve::fakes::check(call, handle, problem)) return status;
  const auto algorithm = varve::fakes::unpack<varve::fakes::Algorithm>(*made);
  std::string why;
  if (const auto status = varve::fakes::check_algorithm(algorithm, *problem, why)) {
    return varve::fakes::refuse(call, status, why);
  }
  result->workspaceSize = varve::fakes::workspace_of(algorithm, *problem);
  result->state = CUBLAS_STATUS_SUCCESS;
  result->wavesCount = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void* alpha, const void* a_data, cublasLtMatrixLayout_t a,
                              const void* b_data, cublasLtMatrixLayout_t b, const void* beta,
                              const void* c_data, cublasLtMatrixLayout_t c, void* d_data,
                              cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algorithm,
                              void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  Call call("cublasLtMatmul");
  auto problem = varve::fakes::unpack_problem(operation, a, b, c, d);
  if (const auto status = varve::fakes::check(call, handle, problem)) return status;
  const varve::fakes::Operands operands{{a_data, b_data, c_data, d_data},
                                        {&problem->a, &problem->b, &problem->c, &problem->d}};
  return varve::fakes::multiply(call, *problem,
                                {static_cast<const float*>(alpha), static_cast<const float*>(beta),
                                 operands, algorithm, workspace, workspace_bytes, stream});
}

size_t cublasLtGetVersion() {
  return CUBLAS_VERSION;
}

size_t cublasLtGetCudartVersion() {
  return CUDART_VERSION;
}

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "CUBLAS_STATUS";
  }
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return cublasLtGetStatusName(status);
}

}  // extern "C"
