// What cuBLASLt keeps in its opaque descriptors.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace varve::fakes {

struct Layout {
  std::uint32_t type = CUDA_R_32F;
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::uint64_t rows = 0, columns = 0;
  std::int64_t ld = 0;
  std::int32_t batch = 1;
  std::int64_t batch_stride = 0;
};

struct Operation {
  std::int32_t compute = CUBLAS_COMPUTE_32F;
  std::int32_t scale = CUDA_R_32F;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N, transpose_c = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::int32_t bias_type = -1;  // that of D
  const void* bias = nullptr;
  std::int32_t multiprocessors = 0;
};

struct Preference {
  std::uint32_t search = CUBLASLT_SEARCH_BEST_FIT;
  std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::uint64_t workspace = 0;
  std::uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
  float waves = 0;
  std::uint64_t implementations = ~std::uint64_t{0};
};

struct Algorithm {
  std::uint32_t magic = 0;  // kAlgorithmMagic once it was initialised
  std::int32_t id = 0;
  std::uint32_t tile = CUBLASLT_MATMUL_TILE_UNDEFINED;
  std::int32_t split_k = 1;
  std::uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
  std::uint32_t swizzle = 0;
  std::uint32_t custom = 0;
  std::uint32_t stages = CUBLASLT_MATMUL_STAGES_UNDEFINED;
  std::uint16_t inner_shape = 0, cluster_shape = 0;
  std::int32_t type_ab = CUDA_R_32F, type_cd = CUDA_R_32F;
};
inline constexpr std::uint32_t kAlgorithmMagic = 0x76617276;

/// Between NVIDIA's opaque bytes and ours.
template <class Record, class Opaque>
Record unpack(const Opaque& opaque) {
  static_assert(sizeof(Record) <= sizeof(Opaque));
  Record record;
  std::memcpy(static_cast<void*>(&record), &opaque, sizeof record);
  return record;
}
template <class Record, class Opaque>
void pack(const Record& record, Opaque& opaque) {
  static_assert(sizeof(Record) <= sizeof(Opaque));
  std::memset(&opaque, 0, sizeof opaque);
  std::memcpy(&opaque, &record, sizeof record);
}

/// All that decides which algorithms can compute it.
struct Problem {
  Operation operation;
  Layout a, b, c, d;
  std::int64_t m = 0, n = 0, k = 0;
};

/// Sets m, n and k. CUBLAS_STATUS_SUCCESS, or the status and why.
cublasStatus_t check_problem(Problem& problem, std::string& why);
/// Whether the algorithm can compute it, as far as can be told without the addresses.
cublasStatus_t check_algorithm(const Algorithm& algorithm, const Problem& problem,
                               std::string& why);
/// Bytes to which it needs each matrix aligned, and their leading dimensions.
std::size_t alignment_of(const Algorithm& algorithm, cudaDataType type);
std::size_t workspace_of(const Algorithm& algorithm, const Problem& problem);
/// Best first.
std::vector<Algorithm> choose_algorithms(const Problem& problem, const Preference& preference);

}  // namespace varve::fakes

struct cublasLtContext {
  int device;
};
