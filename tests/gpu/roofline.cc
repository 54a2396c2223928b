// How close the GPU kernels come to what the device can do: bytes per second of decode attention,
// multiply-adds of prefill attention and of products with weights, of a layer of Llama-3.1-8B.
//
//   gpu_roofline [--rows N]     # longest cache; 1048576
//
// Peaks are computed from what the driver says of the device: memory clock times bus width, and
// clock times multiprocessors times the tensor cores' rate for dense bfloat16.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/device.h"

namespace varve {
namespace {

constexpr std::size_t kHidden = 4096;
constexpr std::size_t kFeedForward = 14336;
constexpr std::size_t kHeads = 32;
constexpr std::size_t kKeyHeads = 8;
constexpr std::size_t kHeadDim = 128;
constexpr std::size_t kChunk = 512;
constexpr auto kTime = std::chrono::milliseconds(300);

struct Peaks {
  std::string name;
  double bytes = 0;  // per second
  double flops = 0;  // per second, dense bfloat16
};

int attribute(cudaDeviceAttr which) {
  int value = 0;
  cuda::check(cudaDeviceGetAttribute(&value, which, 0), "ask what the device has");
  return value;
}

Peaks peaks() {
  cudaDeviceProp p{};
  cuda::check(cudaGetDeviceProperties(&p, 0), "ask what the device is");
  const double memory_hz = 1e3 * attribute(cudaDevAttrMemoryClockRate);
  const double hz = 1e3 * attribute(cudaDevAttrClockRate);
  // Of a multiprocessor and clock: a multiply-add is two.
  const double per_clock = p.major >= 9 ? 4096 : 2048;
  return {p.name, 2 * memory_hz * attribute(cudaDevAttrGlobalMemoryBusWidth) / 8,
          hz * p.multiProcessorCount * per_clock};
}

/// Seconds of one call, warm.
double time_of(Ops& ops, const Buffer& any, const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  float word = 0;
  const auto finish = [&] { ops.download(&word, any.data(), sizeof word); };
  call();
  finish();
  double seconds = 0;
  for (std::size_t calls = 1;; calls *= 2) {
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < calls; ++i) call();
    finish();
    const auto took = Clock::now() - begin;
    seconds = std::chrono::duration<double>(took).count() / static_cast<double>(calls);
    if (took >= kTime) return seconds;
  }
}

void print(const std::string& what, double seconds, double done, double peak, const char* unit) {
  std::printf("%-36s %10.3f ms %9.1f %s %6.1f %% of peak\n", what.c_str(), seconds * 1e3,
              done / seconds / 1e9, unit, 100 * done / seconds / peak);
  std::fflush(stdout);
}

class Roofline {
 public:
  Roofline() : peaks_(peaks()), ops_(make_ops("cuda", OpsPlace{})) {
    std::printf("%s: %.0f GB/s, %.0f TFLOP/s (bfloat16, dense)\n", peaks_.name.c_str(),
                peaks_.bytes / 1e9, peaks_.flops / 1e12);
  }

  void attend(std::size_t rows) {
    const Buffer cache = ops_->allocate(cache_bytes(rows));
    std::vector<HeadRows> heads(kKeyHeads);
    for (std::size_t h = 0; h < kKeyHeads; ++h) {
      heads[h] = {static_cast<std::uint32_t>(h * rows), static_cast<std::uint32_t>(rows)};
    }
    const SegmentView segment = fill(cache, rows, heads);
    attend_rows(segment, rows, 1);
    attend_rows(segment, rows, kChunk);
  }

  void multiply(std::size_t rows, std::size_t in, std::size_t out) {
    std::vector<std::uint16_t> numbers(in * out, 0x3c00);  // small bfloat16
    for (std::size_t i = 0; i < numbers.size(); i += 3) numbers[i] = 0xbc10;
    const Weight w = ops_->prepare({numbers.data(), DType::kBF16, out, in});
    const Buffer x = floats(rows * in);
    const Buffer y = floats(rows * out);
    const Matrix from{x.as<float>(), rows, in, in};
    const Matrix to{y.as<float>(), rows, out, out};
    const auto products = rows > 1 ? Products::kSplit : Products::kFloat;
    const double seconds = time_of(*ops_, y, [&] { ops_->linear(from, {w, to}, products); });
    const std::string what = fmt::format("product {} x {} x {}", rows, in, out);
    if (rows == 1) {
      print(what, seconds, 2.0 * static_cast<double>(in * out), peaks_.bytes, "GB/s  ");
    } else {
      print(what, seconds, 2.0 * static_cast<double>(rows * in * out), peaks_.flops, "GFLOP/s");
    }
  }

 private:
  static std::size_t cache_bytes(std::size_t rows) {
    return rows * (2 * kKeyHeads * kHeadDim * 2 + sizeof(std::int32_t));
  }

  Buffer floats(std::size_t count) {
    Buffer buffer = ops_->allocate(count * sizeof(float));
    std::vector<float> host(count);
    for (std::size_t i = 0; i < count; ++i) host[i] = static_cast<float>(i % 97) / 97 - 0.5F;
    ops_->upload(buffer.data(), host.data(), count * sizeof(float));
    return buffer;
  }

  // In pieces: the rows of a long cache come as float32 first.
  SegmentView fill(const Buffer& cache, std::size_t rows, std::span<const HeadRows> heads) {
    auto* keys = cache.as<std::byte>();
    std::byte* values = keys + rows * kKeyHeads * kHeadDim * 2;
    auto* positions = reinterpret_cast<std::int32_t*>(values + rows * kKeyHeads * kHeadDim * 2);
    const SegmentStore store{DType::kBF16, keys, values, positions, true, heads, kHeadDim};
    const std::size_t step = std::min<std::size_t>(rows, 4096);
    const Buffer piece = floats(step * kKeyHeads * kHeadDim);
    for (std::size_t at = 0; at < rows; at += step) {
      const std::size_t count = std::min(step, rows - at);
      std::vector<std::int32_t> where(count);
      std::iota(where.begin(), where.end(), static_cast<std::int32_t>(at));
      const ConstMatrix piece_rows{piece.as<float>(), count, kKeyHeads * kHeadDim,
                                   kKeyHeads * kHeadDim};
      ops_->append_rows(piece_rows, piece_rows, where, store, at);
    }
    return store.view();
  }

  void attend_rows(const SegmentView& segment, std::size_t rows, std::size_t queries) {
    const Buffer q = floats(queries * kHeads * kHeadDim);
    const Buffer out = floats(queries * kHeads * kHeadDim);
    const Buffer lse = floats(queries * kHeads);
    const Partial state{{out.as<float>(), queries, kHeads * kHeadDim, kHeads * kHeadDim},
                        {lse.as<float>(), queries, kHeads, kHeads}};
    std::vector<std::int32_t> positions(queries);
    std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(rows - queries));
    const AttendItem item{0, queries, segment};
    const AttendParams params{.q_heads = kHeads, .scale = 0.088F};
    const ConstMatrix from{q.as<float>(), queries, kHeads * kHeadDim, kHeads * kHeadDim};
    const double seconds = time_of(*ops_, lse, [&] {
      ops_->clear(state);
      ops_->attend(from, positions, {&item, 1}, params, state);
    });
    const auto n = static_cast<double>(rows);
    const auto t = static_cast<double>(queries);
    if (queries == 1) {
      print(fmt::format("decode attention, {} rows", rows), seconds,
            static_cast<double>(cache_bytes(rows)), peaks_.bytes, "GB/s  ");
    } else {
      // Each query sees the rows up to its own.
      print(fmt::format("prefill attention, {} of {} rows", queries, rows), seconds,
            4.0 * kHeads * kHeadDim * t * (n - (t - 1) / 2), peaks_.flops, "GFLOP/s");
    }
  }

  Peaks peaks_;
  std::unique_ptr<Ops> ops_;
};

int run(std::size_t longest) {
  Roofline roofline;
  for (const std::size_t rows :
       {std::size_t{4096}, std::size_t{32768}, std::size_t{131072}, std::size_t{1048576}}) {
    if (rows <= longest) roofline.attend(rows);
  }
  for (const std::size_t rows : {std::size_t{1}, kChunk, 4 * kChunk}) {
    roofline.multiply(rows, kHidden, kHidden);
    roofline.multiply(rows, kHidden, kFeedForward);
    roofline.multiply(rows, kFeedForward, kHidden);
  }
  return 0;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  std::size_t longest = 1048576;
  if (argc == 3 && std::strcmp(argv[1], "--rows") == 0)
    longest = std::strtoull(argv[2], nullptr, 10);
  try {
    return varve::run(longest);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_roofline: %s\n", error.what());
    return 1;
  }
}
