#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstring>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/memory_place.h"

namespace varve::fakes {
namespace {

/// Rows of bytes.
struct Rows {
  std::size_t width;
  std::size_t height;
  std::size_t extent(std::size_t pitch) const {
    return height == 0 || width == 0 ? 0 : (height - 1) * pitch + width;
  }
};

void copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
               const Rows& rows) {
  auto* out = static_cast<std::byte*>(to);
  const auto* in = static_cast<const std::byte*>(from);
  for (std::size_t i = 0; i < rows.height; ++i) {
    std::memcpy(out + i * to_pitch, in + i * from_pitch, rows.width);
  }
}

void set_rows(void* to, std::size_t pitch, int value, const Rows& rows) {
  auto* out = static_cast<std::byte*>(to);
  for (std::size_t i = 0; i < rows.height; ++i) std::memset(out + i * pitch, value, rows.width);
}

cudaError_t copy(Call& call, void* to, std::size_t to_pitch, const void* from,
                 std::size_t from_pitch, const Rows& rows, cudaMemcpyKind kind,
                 cudaStream_t stream) {
  if (const cudaError_t error = call.check_stream(stream)) return error;
  const auto sides = sides_of(kind);
  if (!sides) return call.refuse(cudaErrorInvalidMemcpyDirection, "no such kind of copy");
  if (to_pitch < rows.width || from_pitch < rows.width) {
    return call.refuse(cudaErrorInvalidPitchValue, "rows that are wider than their pitch");
  }
  if (rows.extent(to_pitch) == 0) return cudaSuccess;
  std::string why;
  const auto target = find_place(call.machine(), to, rows.extent(to_pitch), sides->to, why);
  if (!target) return call.refuse(cudaErrorInvalidValue, "to: " + why);
  const auto source = find_place(call.machine(), from, rows.extent(from_pitch), sides->from, why);
  if (!source) return call.refuse(cudaErrorInvalidValue, "from: " + why);
  const auto run = [=, to_place = *target, from_place = *source, name = call.name()] {
    check_place(Machine::get(), to_place, name);
    check_place(Machine::get(), from_place, name);
    copy_rows(to, to_pitch, from, from_pitch, rows);
  };
  call.machine().put(*stream, {fmt::format("a copy of {} bytes", rows.width * rows.height),
                               NodeKind::kCopy, [run] { return once(run); }});
  return cudaSuccess;
}

cudaError_t set(Call& call, void* to, std::size_t pitch, int value, const Rows& rows,
                cudaStream_t stream) {
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (pitch < rows.width) {
    return call.refuse(cudaErrorInvalidPitchValue, "rows that are wider than their pitch");
  }
  if (rows.extent(pitch) == 0) return cudaSuccess;
  std::string why;
  const auto target = find_place(call.machine(), to, rows.extent(pitch), Side::kDevice, why);
  if (!target) return call.refuse(cudaErrorInvalidValue, why);
  const auto run = [=, place = *target, name = call.name()] {
    check_place(Machine::get(), place, name);
    set_rows(to, pitch, value, rows);
  };
  call.machine().put(*stream, {fmt::format("a memset of {} bytes", rows.width * rows.height),
                               NodeKind::kMemset, [run] { return once(run); }});
  return cudaSuccess;
}

// The calls without a stream are ordered with the default stream, so with nothing that we queue.
cudaError_t refuse_default_stream(Call& call) {
  return call.check_stream(nullptr);
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  Call call("cudaMemcpyAsync");
  return varve::fakes::copy(call, to, bytes, from, bytes, {bytes, 1}, kind, stream);
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  Call call("cudaMemcpy2DAsync");
  return varve::fakes::copy(call, to, to_pitch, from, from_pitch, {width, height}, kind, stream);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  Call call("cudaMemsetAsync");
  return varve::fakes::set(call, to, bytes, value, {bytes, 1}, stream);
}

cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  Call call("cudaMemset2DAsync");
  return varve::fakes::set(call, to, pitch, value, {width, height}, stream);
}

cudaError_t cudaMemcpy(void*, const void*, size_t, cudaMemcpyKind) {
  Call call("cudaMemcpy");
  return varve::fakes::refuse_default_stream(call);
}

cudaError_t cudaMemset(void*, int, size_t) {
  Call call("cudaMemset");
  return varve::fakes::refuse_default_stream(call);
}

}  // extern "C"
