// Creating the descriptors of cuBLASLt, and their attributes.
#include <cublasLt.h>
#include <fmt/format.h>

#include <cstddef>
#include <span>

#include "tests/cuda_on_cpu/fakes/blas_records.h"
#include "tests/cuda_on_cpu/fakes/call.h"

namespace varve::fakes {
namespace {

/// An attribute is bytes of a record.
struct Field {
  int attribute;
  std::size_t offset, bytes;
};

#define VARVE_FIELD(attribute, record, member)                  \
  Field {                                                       \
    attribute, offsetof(record, member), sizeof(record::member) \
  }

constexpr Field kLayoutFields[] = {
    VARVE_FIELD(CUBLASLT_MATRIX_LAYOUT_TYPE, Layout, type),
    VARVE_FIELD(CUBLASLT_MATRIX_LAYOUT_ORDER, Layout, order),
    VARVE_FIELD(CUBLASLT_MATRIX_LAYOUT_ROWS, Layout, rows),
    VARVE_FIELD(CUBLASLT_MATRIX_LAYOUT_COLS, Layout, columns),
    VARVE_FIELD(CUBLASLT_MATRIX_LAYOUT_LD, Layout, ld),
    VARVE_FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, Layout, batch),
    VARVE_FIELD(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, Layout, batch_stride),
};

constexpr Field kOperationFields[] = {
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, Operation, compute),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_SCALE_TYPE, Operation, scale),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_POINTER_MODE, Operation, pointer_mode),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_TRANSA, Operation, transpose_a),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_TRANSB, Operation, transpose_b),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_TRANSC, Operation, transpose_c),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE, Operation, epilogue),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_BIAS_POINTER, Operation, bias),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, Operation, bias_type),
    VARVE_FIELD(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, Operation, multiprocessors),
};

constexpr Field kPreferenceFields[] = {
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_SEARCH_MODE, Preference, search),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Preference, workspace),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, Preference, reductions),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Preference, align_a),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Preference, align_b),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, Preference, align_c),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, Preference, align_d),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, Preference, waves),
    VARVE_FIELD(CUBLASLT_MATMUL_PREF_IMPL_MASK, Preference, implementations),
};

constexpr Field kAlgorithmFields[] = {
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_ID, Algorithm, id),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_TILE_ID, Algorithm, tile),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, Algorithm, split_k),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, Algorithm, reduction),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, Algorithm, swizzle),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, Algorithm, custom),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_STAGES_ID, Algorithm, stages),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, Algorithm, inner_shape),
    VARVE_FIELD(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, Algorithm, cluster_shape),
};

#undef VARVE_FIELD

cublasStatus_t refuse(Call& call, cublasStatus_t status, const std::string& why) {
  call.explain(why);
  return status;
}

const Field* find(std::span<const Field> fields, int attribute) {
  for (const Field& field : fields) {
    if (field.attribute == attribute) return &field;
  }
  return nullptr;
}

cublasStatus_t set(const char* name, std::span<const Field> fields, void* record, int attribute,
                   const void* value, std::size_t bytes) {
  Call call(name);
  const Field* field = find(fields, attribute);
  if (field == nullptr) {
    return refuse(call, CUBLAS_STATUS_NOT_SUPPORTED,
                  fmt::format("attribute {} is not faked", attribute));
  }
  if (record == nullptr || value == nullptr || bytes != field->bytes) {
    return refuse(call, CUBLAS_STATUS_INVALID_VALUE,
                  fmt::format("attribute {} has {} bytes, not {}", attribute, field->bytes, bytes));
  }
  std::memcpy(static_cast<std::byte*>(record) + field->offset, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t get(const char* name, std::span<const Field> fields, const void* record,
                   int attribute, void* value, std::size_t bytes, std::size_t* written) {
  Call call(name);
  const Field* field = find(fields, attribute);
  if (field == nullptr) {
    return refuse(call, CUBLAS_STATUS_NOT_SUPPORTED,
                  fmt::format("attribute {} is not faked", attribute));
  }
  if (written != nullptr) *written = field->bytes;
  if (bytes == 0 && written != nullptr) return CUBLAS_STATUS_SUCCESS;
  if (record == nullptr || value == nullptr || bytes != field->bytes) {
    return refuse(call, CUBLAS_STATUS_INVALID_VALUE,
                  fmt::format("attribute {} has {} bytes, not {}", attribute, field->bytes, bytes));
  }
  std::memcpy(value, static_cast<const std::byte*>(record) + field->offset, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <class Record, class Opaque>
cublasStatus_t initialise(Opaque* opaque, std::size_t bytes, const Record& record) {
  if (opaque == nullptr || bytes < sizeof(Opaque)) return CUBLAS_STATUS_INVALID_VALUE;
  pack(record, *opaque);
  return CUBLAS_STATUS_SUCCESS;
}

template <class Opaque, class Record>
cublasStatus_t create(Opaque** opaque, const Record& record) {
  if (opaque == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *opaque = new Opaque;
  pack(record, **opaque);
  return CUBLAS_STATUS_SUCCESS;
}

Layout layout(cudaDataType type, std::uint64_t rows, std::uint64_t columns, std::int64_t ld) {
  Layout made;
  made.type = type;
  made.rows = rows;
  made.columns = columns;
  made.ld = ld;
  return made;
}

Operation operation(cublasComputeType_t compute, cudaDataType scale) {
  Operation made;
  made.compute = compute;
  made.scale = scale;
  return made;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::kAlgorithmFields;
using varve::fakes::kLayoutFields;
using varve::fakes::kOperationFields;
using varve::fakes::kPreferenceFields;

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t made, size_t bytes,
                                                 cudaDataType type, uint64_t rows, uint64_t columns,
                                                 int64_t ld) {
  return varve::fakes::initialise(made, bytes, varve::fakes::layout(type, rows, columns, ld));
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
  return varve::fakes::create(made, varve::fakes::layout(type, rows, columns, ld));
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t made) {
  delete made;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t made,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  return varve::fakes::set("cublasLtMatrixLayoutSetAttribute", kLayoutFields, made, attribute,
                           value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t made,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                void* value, size_t bytes, size_t* written) {
  return varve::fakes::get("cublasLtMatrixLayoutGetAttribute", kLayoutFields, made, attribute,
                           value, bytes, written);
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t made, size_t bytes,
                                               cublasComputeType_t compute, cudaDataType_t scale) {
  return varve::fakes::initialise(made, bytes, varve::fakes::operation(compute, scale));
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  return varve::fakes::create(made, varve::fakes::operation(compute, scale));
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t made) {
  delete made;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t made,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  return varve::fakes::set("cublasLtMatmulDescSetAttribute", kOperationFields, made, attribute,
                           value, bytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t made,
                                              cublasLtMatmulDescAttributes_t attribute, void* value,
                                              size_t bytes, size_t* written) {
  return varve::fakes::get("cublasLtMatmulDescGetAttribute", kOperationFields, made, attribute,
                           value, bytes, written);
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t made,
                                                     size_t bytes) {
  return varve::fakes::initialise(made, bytes, varve::fakes::Preference{});
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  return varve::fakes::create(made, varve::fakes::Preference{});
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t made) {
  delete made;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t made,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  return varve::fakes::set("cublasLtMatmulPreferenceSetAttribute", kPreferenceFields, made,
                           attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t made,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  return varve::fakes::get("cublasLtMatmulPreferenceGetAttribute", kPreferenceFields, made,
                           attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* made,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  if (attribute == CUBLASLT_ALGO_CONFIG_ID) return CUBLAS_STATUS_INVALID_VALUE;  // read only
  return varve::fakes::set("cublasLtMatmulAlgoConfigSetAttribute", kAlgorithmFields, made,
                           attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* made,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t* written) {
  return varve::fakes::get("cublasLtMatmulAlgoConfigGetAttribute", kAlgorithmFields, made,
                           attribute, value, bytes, written);
}

}  // extern "C"
