// Which algorithms the fake cuBLASLt has, what they can compute, and which it recommends.
#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tests/cuda_on_cpu/fakes/blas_records.h"
#include "tests/cuda_on_cpu/fakes/gemm.h"

namespace varve::fakes {
namespace {

// One that loads 16 bytes at a time, and one that loads numbers.
constexpr std::int32_t kWide = 21;
constexpr std::int32_t kNarrow = 1;
constexpr std::size_t kWideAlignment = 16;

constexpr std::array<std::uint32_t, 6> kTiles = {
    CUBLASLT_MATMUL_TILE_32x32,  CUBLASLT_MATMUL_TILE_64x32,  CUBLASLT_MATMUL_TILE_64x64,
    CUBLASLT_MATMUL_TILE_64x128, CUBLASLT_MATMUL_TILE_128x64, CUBLASLT_MATMUL_TILE_128x128};
constexpr std::array<std::uint32_t, 3> kStages = {
    CUBLASLT_MATMUL_STAGES_32x3, CUBLASLT_MATMUL_STAGES_64x3, CUBLASLT_MATMUL_STAGES_64x4};

template <std::size_t N>
bool contains(const std::array<std::uint32_t, N>& all, std::uint32_t one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

cudaDataType type_of(const Layout& layout) {
  return static_cast<cudaDataType>(layout.type);
}

cublasStatus_t unsupported(std::string& why, std::string text) {
  why = std::move(text);
  return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t invalid(std::string& why, std::string text) {
  why = std::move(text);
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t check_operation(const Operation& op, std::string& why) {
  if (op.compute != CUBLAS_COMPUTE_32F && op.compute != CUBLAS_COMPUTE_32F_PEDANTIC) {
    return unsupported(why, "only sums in float are faked (CUBLAS_COMPUTE_32F)");
  }
  if (op.scale != CUDA_R_32F) return unsupported(why, "alpha and beta must be float");
  if (op.pointer_mode != CUBLASLT_POINTER_MODE_HOST) {
    return unsupported(why, "alpha and beta must be in host memory");
  }
  if (op.transpose_c != CUBLAS_OP_N) return unsupported(why, "C cannot be transposed");
  if (op.epilogue != CUBLASLT_EPILOGUE_DEFAULT && op.epilogue != CUBLASLT_EPILOGUE_BIAS) {
    return unsupported(why, fmt::format("epilogue {} is not faked", op.epilogue));
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_layout(const char* name, const Layout& layout, std::string& why) {
  if (layout.order != CUBLASLT_ORDER_COL && layout.order != CUBLASLT_ORDER_ROW) {
    return unsupported(why, fmt::format("{}: memory order {} is not faked", name, layout.order));
  }
  if (layout.batch != 1) return unsupported(why, fmt::format("{}: batches are not faked", name));
  if (layout.rows == 0 || layout.columns == 0) {
    return invalid(why, fmt::format("{} is empty ({} x {})", name, layout.rows, layout.columns));
  }
  const bool by_row = layout.order == CUBLASLT_ORDER_ROW;
  const std::uint64_t line = by_row ? layout.columns : layout.rows;
  if (layout.ld < 0 || static_cast<std::uint64_t>(layout.ld) < line) {
    return invalid(why, fmt::format("{}: leading dimension {} for {} of {}", name, layout.ld,
                                    by_row ? "rows" : "columns", line));
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_types(const Problem& p, std::string& why) {
  const bool known = size_of(type_of(p.a)) != 0 && size_of(type_of(p.d)) != 0;
  const bool same = p.a.type == p.b.type && p.c.type == p.d.type;
  const bool wider = p.d.type == p.a.type || p.d.type == CUDA_R_32F;
  if (known && same && wider) return CUBLAS_STATUS_SUCCESS;
  return unsupported(why, fmt::format("types A {}, B {}, C {}, D {} (cudaDataType)", p.a.type,
                                      p.b.type, p.c.type, p.d.type));
}

cublasStatus_t check_bias(const Problem& p, std::string& why) {
  const std::int32_t type = p.operation.bias_type;
  if (p.operation.epilogue != CUBLASLT_EPILOGUE_BIAS || type < 0) return CUBLAS_STATUS_SUCCESS;
  if (static_cast<std::uint32_t>(type) == p.d.type) return CUBLAS_STATUS_SUCCESS;
  return unsupported(why, "a bias of another type than D");
}

cublasStatus_t check_shapes(Problem& p, std::string& why) {
  const bool turn_a = p.operation.transpose_a != CUBLAS_OP_N;
  const bool turn_b = p.operation.transpose_b != CUBLAS_OP_N;
  p.m = static_cast<std::int64_t>(turn_a ? p.a.columns : p.a.rows);
  p.k = static_cast<std::int64_t>(turn_a ? p.a.rows : p.a.columns);
  p.n = static_cast<std::int64_t>(turn_b ? p.b.rows : p.b.columns);
  const auto k = static_cast<std::int64_t>(turn_b ? p.b.columns : p.b.rows);
  if (k != p.k) return invalid(why, fmt::format("op(A) has {} columns, op(B) {} rows", p.k, k));
  for (const Layout* each : {&p.c, &p.d}) {
    if (static_cast<std::int64_t>(each->rows) == p.m &&
        static_cast<std::int64_t>(each->columns) == p.n) {
      continue;
    }
    return invalid(why, fmt::format("{} is {} x {}, the product {} x {}", each == &p.c ? 'C' : 'D',
                                    each->rows, each->columns, p.m, p.n));
  }
  if (p.c.order != p.d.order) return unsupported(why, "C and D in two memory orders");
  return CUBLAS_STATUS_SUCCESS;
}

bool lines_aligned(const Problem& p, std::size_t alignment) {
  for (const Layout* each : {&p.a, &p.b, &p.c, &p.d}) {
    if (static_cast<std::size_t>(each->ld) * size_of(type_of(*each)) % alignment != 0) return false;
  }
  return true;
}

bool wide_fits(const Problem& p, const Preference& preference) {
  const std::uint32_t least =
      std::min({preference.align_a, preference.align_b, preference.align_c, preference.align_d});
  return least >= kWideAlignment && lines_aligned(p, kWideAlignment);
}

}  // namespace

cublasStatus_t check_problem(Problem& p, std::string& why) {
  if (const auto status = check_operation(p.operation, why)) return status;
  const std::array layouts = {&p.a, &p.b, &p.c, &p.d};
  const std::array names = {"A", "B", "C", "D"};
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    if (const auto status = check_layout(names[i], *layouts[i], why)) return status;
  }
  if (const auto status = check_types(p, why)) return status;
  if (const auto status = check_bias(p, why)) return status;
  return check_shapes(p, why);
}

cublasStatus_t check_algorithm(const Algorithm& algorithm, const Problem& p, std::string& why) {
  if (algorithm.magic != kAlgorithmMagic) {
    return invalid(why, "the algorithm was not initialised");
  }
  if (static_cast<std::uint32_t>(algorithm.type_ab) != p.a.type ||
      static_cast<std::uint32_t>(algorithm.type_cd) != p.d.type) {
    return invalid(why, "the algorithm was made for other types");
  }
  if (!contains(kTiles, algorithm.tile) || !contains(kStages, algorithm.stages)) {
    return unsupported(why, fmt::format("algorithm {} has no tile {} with stages {}", algorithm.id,
                                        algorithm.tile, algorithm.stages));
  }
  const bool splits = algorithm.split_k > 1;
  if (algorithm.split_k < 1 || splits != (algorithm.reduction != CUBLASLT_REDUCTION_SCHEME_NONE)) {
    return unsupported(why, fmt::format("{} pieces of k with reduction scheme {}",
                                        algorithm.split_k, algorithm.reduction));
  }
  if (algorithm.swizzle > 1 || algorithm.custom != 0) {
    return unsupported(why, "swizzling or an option that the algorithm has not");
  }
  if (algorithm.id == kWide && !lines_aligned(p, kWideAlignment)) {
    return unsupported(why, fmt::format("algorithm {} needs leading dimensions of whole {} bytes",
                                        kWide, kWideAlignment));
  }
  return CUBLAS_STATUS_SUCCESS;
}

std::size_t alignment_of(const Algorithm& algorithm, cudaDataType type) {
  return algorithm.id == kWide ? kWideAlignment : size_of(type);
}

std::size_t workspace_of(const Algorithm& algorithm, const Problem& p) {
  if (algorithm.split_k <= 1) return 0;
  return static_cast<std::size_t>(algorithm.split_k * p.m * p.n) * sizeof(float);
}

// As the real one does for few columns it first recommends to split k, whose sums have other bits:
// who wants the same bits at every n must ask for no reduction, or pin an algorithm.
std::vector<Algorithm> choose_algorithms(const Problem& p, const Preference& preference) {
  Algorithm plain;
  plain.magic = kAlgorithmMagic;
  plain.id = wide_fits(p, preference) ? kWide : kNarrow;
  plain.tile = p.n <= 32 ? CUBLASLT_MATMUL_TILE_64x32 : CUBLASLT_MATMUL_TILE_128x64;
  plain.stages = CUBLASLT_MATMUL_STAGES_64x3;
  plain.type_ab = static_cast<std::int32_t>(p.a.type);
  plain.type_cd = static_cast<std::int32_t>(p.d.type);
  std::vector<Algorithm> chosen;
  Algorithm split = plain;
  split.split_k = 2;
  split.reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  if (p.n <= 16 && p.k >= 64 && (preference.reductions & split.reduction) != 0 &&
      workspace_of(split, p) <= preference.workspace) {
    chosen.push_back(split);
  }
  chosen.push_back(plain);
  if (plain.id == kWide) {
    plain.id = kNarrow;
    chosen.push_back(plain);
  }
  return chosen;
}

namespace {

template <class T>
cublasStatus_t give(const T* values, std::size_t count, void* out, std::size_t bytes,
                    std::size_t* written) {
  if (written != nullptr) *written = count * sizeof(T);
  if (bytes == 0 && written != nullptr) return CUBLAS_STATUS_SUCCESS;
  const std::size_t given = std::min(bytes / sizeof(T), count) * sizeof(T);
  if (out == nullptr || given == 0) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(out, values, given);
  if (written != nullptr) *written = given;
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t give_one(T value, void* out, std::size_t bytes, std::size_t* written) {
  return give(&value, 1, out, bytes, written);
}

cublasStatus_t capability(const Algorithm& algorithm, int attribute, void* out, std::size_t bytes,
                          std::size_t* written) {
  const auto ab = static_cast<cudaDataType>(algorithm.type_ab);
  const auto cd = static_cast<cudaDataType>(algorithm.type_cd);
  const auto narrow = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
  switch (attribute) {
    case CUBLASLT_ALGO_CAP_SPLITK_SUPPORT:
      return give_one(std::int32_t{1}, out, bytes, written);
    case CUBLASLT_ALGO_CAP_REDUCTION_SCHEME_MASK:
      return give_one(std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE}, out, bytes, written);
    case CUBLASLT_ALGO_CAP_CTA_SWIZZLING_SUPPORT:
      return give_one(std::uint32_t{1}, out, bytes, written);
    case CUBLASLT_ALGO_CAP_STRIDED_BATCH_SUPPORT:
    case CUBLASLT_ALGO_CAP_CUSTOM_OPTION_MAX:
      return give_one(std::int32_t{0}, out, bytes, written);
    case CUBLASLT_ALGO_CAP_EPILOGUE_MASK:
      return give_one(std::uint32_t{CUBLASLT_EPILOGUE_BIAS}, out, bytes, written);
    case CUBLASLT_ALGO_CAP_TILE_IDS:
      return give(kTiles.data(), kTiles.size(), out, bytes, written);
    case CUBLASLT_ALGO_CAP_STAGES_IDS:
      return give(kStages.data(), kStages.size(), out, bytes, written);
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_B_BYTES:
      return give_one(narrow(alignment_of(algorithm, ab)), out, bytes, written);
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_D_BYTES:
      return give_one(narrow(alignment_of(algorithm, cd)), out, bytes, written);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

bool types_known(cublasComputeType_t compute, cudaDataType scale, cudaDataType a, cudaDataType b,
                 cudaDataType c, cudaDataType d) {
  Problem p;
  p.operation.compute = compute;
  p.operation.scale = scale;
  p.a.type = a;
  p.b.type = b;
  p.c.type = c;
  p.d.type = d;
  std::string why;
  return check_operation(p.operation, why) == CUBLAS_STATUS_SUCCESS &&
         check_types(p, why) == CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t, cublasComputeType_t compute,
                                        cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
                                        cudaDataType_t c, cudaDataType_t d, int wanted, int ids[],
                                        int* count) {
  *count = 0;
  if (!varve::fakes::types_known(compute, scale, a, b, c, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (const int id : {varve::fakes::kWide, varve::fakes::kNarrow}) {
    if (*count < wanted) ids[(*count)++] = id;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t compute,
                                      cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
                                      cudaDataType_t c, cudaDataType_t d, int id,
                                      cublasLtMatmulAlgo_t* made) {
  if (!varve::fakes::types_known(compute, scale, a, b, c, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (id != varve::fakes::kWide && id != varve::fakes::kNarrow) return CUBLAS_STATUS_INVALID_VALUE;
  varve::fakes::Algorithm algorithm;
  algorithm.magic = varve::fakes::kAlgorithmMagic;
  algorithm.id = id;
  algorithm.type_ab = a;
  algorithm.type_cd = d;
  varve::fakes::pack(algorithm, *made);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t* made,
                                                 cublasLtMatmulAlgoCapAttributes_t attribute,
                                                 void* out, size_t bytes, size_t* written) {
  const auto algorithm = varve::fakes::unpack<varve::fakes::Algorithm>(*made);
  return varve::fakes::capability(algorithm, attribute, out, bytes, written);
}

}  // extern "C"
