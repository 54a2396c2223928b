#include "kernels/cuda/cuda_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/error.h"
#include "kernels/checks.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/staging.h"
#include "kernels/cuda/views.h"
#include "kernels/float16.h"
#include "kernels/reference/dequantize.h"

namespace varve {
namespace {

using cuda::WeightFormat;

using cuda::partials_of;
using cuda::rows_of;

std::uint32_t narrow(std::size_t n) {
  return static_cast<std::uint32_t>(n);
}

template <class T>
T* offset(void* data, std::size_t bytes) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(data) + bytes);
}

bool overlap(const void* a, const void* b, std::size_t bytes) {
  const auto* x = static_cast<const std::byte*>(a);
  const auto* y = static_cast<const std::byte*>(b);
  return x < y + bytes && y < x + bytes;
}

// Uploads up to this size do not wait for the device.
constexpr std::size_t kStagedBytes = std::size_t{64} << 10U;

// Rows of a weight that are decoded at a time while it is loaded.
std::size_t rows_at_a_time(std::size_t cols) {
  constexpr std::size_t kNumbers = std::size_t{4} << 20U;
  return std::max<std::size_t>(1, kNumbers / cols);
}

class CudaOps final : public Ops {
 public:
  CudaOps(int device, CudaPrecision precision, bool graphs)
      : device_(device),
        graphs_(graphs),
        staging_(device_),
        gemm_(device_),
        attending_(device_, staging_, precision == CudaPrecision::kF32),
        format_(precision == CudaPrecision::kF32 ? WeightFormat::kF32 : WeightFormat::kBF16) {}

  // What is under way reads from memory that goes before the device does.
  ~CudaOps() override { static_cast<void>(cudaStreamSynchronize(stream())); }

  void* queue() const override { return device_.stream(); }
  WeightForm weight_form() const override {
    return format_ == WeightFormat::kF32 ? WeightForm::kF32 : WeightForm::kBF16;
  }
  std::string describe() const override {
    return fmt::format("cuda ({}, {})", device_.name(),
                       format_ == WeightFormat::kF32 ? "float32" : "bfloat16");
  }

  void begin_step() override {
    if (graphs_) device_.collect();
  }
  void end_step() override { device_.launch_collected(); }

  Buffer allocate(std::size_t bytes) override { return device_.allocate(bytes); }
  void upload(void* to, const void* host, std::size_t bytes) override {
    if (bytes <= kStagedBytes) {
      staging_.copy(to, {static_cast<const std::byte*>(host), bytes});
    } else {
      device_.upload(to, host, bytes);
    }
  }
  void download(void* host, const void* from, std::size_t bytes) override {
    device_.download(host, from, bytes);
  }

  // A weight of one row is a vector and stays in float32.
  Weight prepare(const TensorView& host) override {
    const WeightFormat format = host.rows > 1 ? format_ : WeightFormat::kF32;
    const DType dtype = format == WeightFormat::kF32 ? DType::kF32 : DType::kBF16;
    const std::size_t bytes = row_bytes(dtype, host.cols);
    Weight weight{{nullptr, dtype, host.rows, host.cols}, device_.allocate(host.rows * bytes)};
    weight.view.data = weight.storage.data();
    const std::size_t step = rows_at_a_time(host.cols);
    for (std::size_t row = 0; row < host.rows; row += step) {
      const std::size_t count = std::min(step, host.rows - row);
      decode(host, row, count, format);
      device_.upload(offset<void>(weight.storage.data(), row * bytes), decoded_.data(),
                     count * bytes);
    }
    return weight;
  }

  void embed(std::span<const std::int32_t> tokens, const Weight& table, Matrix out) override {
    check_embed(tokens, table.view, out);
    if (tokens.empty()) return;
    cuda::embed(staging_.put(tokens), table.view.data, format_of(table), rows_of(out), stream());
  }

  void linear(ConstMatrix x, std::span<const Projection> outputs, Products products) override {
    for (const Projection& output : outputs) check_linear(x, output);
    if (x.rows == 0) return;
    const auto rows = products == Products::kSplit ? cuda::RowClass::kMany : cuda::RowClass::kFew;
    const void* halves = format_ == WeightFormat::kBF16 ? rounded(x) : nullptr;
    for (const Projection& output : outputs) {
      const WeightFormat format = format_of(output.w);
      const bool rounds = format == WeightFormat::kBF16;
      gemm_.multiply({.x = rounds ? halves : x.data,
                      .x_stride = rounds ? x.cols : x.stride,
                      .w = output.w.view.data,
                      .bias = output.bias == nullptr ? nullptr : vector_data(*output.bias),
                      .format = format,
                      .y = rows_of(output.y),
                      .k = narrow(x.cols),
                      .rows = rows});
    }
  }

  void rms_norm(ConstMatrix x, const Weight& gain, double eps, Matrix y) override {
    check_rms_norm(x, gain.view, y);
    if (x.rows == 0) return;
    cuda::rms_norm(rows_of(x), vector_data(gain), narrow(gain.view.cols), static_cast<float>(eps),
                   rows_of(y), stream());
  }

  void rope_angles(std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                   Matrix cos_sin) override {
    check_rope_angles(positions, inv_freq, cos_sin);
    if (positions.empty() || inv_freq.empty()) return;
    cuda::rope_angles(staging_.put(positions), staging_.put(inv_freq), narrow(inv_freq.size()),
                      rows_of(cos_sin), stream());
  }

  void rope(Matrix x, ConstMatrix cos_sin, std::size_t head_dim, RopeLayout layout) override {
    check_rope(x, cos_sin, head_dim);
    if (x.rows == 0 || cos_sin.cols == 0) return;
    cuda::rope(rows_of(x), rows_of(cos_sin), narrow(head_dim), layout == RopeLayout::kHalves,
               stream());
  }

  void silu_mul(ConstMatrix gate, ConstMatrix up, Matrix y) override {
    check_same_shape(gate, up);
    check_same_shape(gate, y);
    if (y.rows > 0) cuda::silu_mul(rows_of(gate), rows_of(up), rows_of(y), stream());
  }

  void add(ConstMatrix x, Matrix y) override {
    check_same_shape(x, y);
    if (y.rows > 0) cuda::add(rows_of(x), rows_of(y), stream());
  }

  void summarize(ConstMatrix x, std::span<RowSummary> out) override {
    check_summarize(x, out);
    if (out.empty()) return;
    const std::size_t bytes = out.size() * sizeof(cuda::Summary);
    if (summaries_.bytes() < bytes) summaries_ = device_.allocate(bytes);
    cuda::summarize(rows_of(x), summaries_.as<cuda::Summary>(), stream());
    host_summaries_.resize(out.size());
    device_.download(host_summaries_.data(), summaries_.data(), bytes);
    std::transform(host_summaries_.begin(), host_summaries_.end(), out.begin(),
                   [](const cuda::Summary& s) {
                     return RowSummary{s.top, s.largest, s.log_sum};
                   });
  }

  void append_rows(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                   const SegmentStore& into, std::size_t at) override {
    check_append(k, v, positions, into, at);
    if (k.rows == 0) return;
    cuda::append_rows(rows_of(k), rows_of(v), staging_.put(positions), stage(into),
                      narrow(into.kv_heads()), into.shared_positions, narrow(at),
                      cuda::format_of(into.dtype), stream());
  }

  void clear(Partial state) override {
    check_partial(state);
    if (state.out.rows == 0) return;
    cuda::clear(partials_of(state), narrow(state.out.rows), narrow(state.lse.cols),
                narrow(state.out.cols / state.lse.cols), stream());
  }

  void attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
              std::span<const AttendItem> items, const AttendParams& params,
              Partial state) override {
    check_attend(q, q_positions, items, params, state);
    attending_.attend(q, staging_.put(q_positions), items, params, state);
  }

  void add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions, const AttendItem& item,
                const AttendParams& params, ConstMatrix lse, Matrix mass) override {
    check_add_mass(q, q_positions, item, params, lse, mass);
    attending_.add_mass(q, staging_.put(q_positions), item, params, lse, mass);
  }

  void merge(const Partial& other, Partial state) override {
    check_partial(state);
    check_same_shape(other.out, state.out);
    check_same_shape(other.lse, state.lse);
    if (state.out.rows == 0) return;
    cuda::merge(partials_of(other), partials_of(state), narrow(state.out.rows),
                narrow(state.lse.cols), narrow(state.out.cols / state.lse.cols), stream());
  }

  void gather_rows(const SegmentView& from, std::size_t head, std::span<const std::uint32_t> rows,
                   const SegmentStore& into, std::size_t at) override {
    check_gather_rows(from, head, rows, into, at);
    if (rows.empty()) return;
    const std::size_t bytes = row_bytes(from.dtype, from.head_dim);
    heads_.clear();
    cuda::list_heads(from, heads_);
    cuda::HeadStore to = store_of(into, head);
    to.keys = offset<void>(to.keys, at * bytes);
    to.values = offset<void>(to.values, at * bytes);
    to.positions = into.shared_positions ? nullptr : to.positions + at;
    const std::size_t span = (rows.back() + 1) * bytes;
    const bool in_place =
        overlap(heads_[head].keys, to.keys, span) || overlap(heads_[head].values, to.values, span);
    cuda::gather_rows(heads_[head], staging_.put(rows), narrow(rows.size()), narrow(bytes), to,
                      in_place, stream());
  }

  void decode_rows(const SegmentView& from, std::size_t head, std::size_t begin, Matrix keys,
                   Matrix values) override {
    check_decode_rows(from, head, begin, keys, values);
    if (keys.rows == 0 && values.rows == 0) return;
    heads_.clear();
    cuda::list_heads(from, heads_);
    cuda::decode_rows(heads_[head], narrow(begin), cuda::format_of(from.dtype),
                      narrow(from.head_dim), rows_of(keys), rows_of(values), stream());
  }

  void encode_rows(const SegmentView& from, const SegmentStore& into) override {
    check_encode_rows(from, into);
    if (from.most_rows() == 0) return;
    cuda::encode_rows(stage(from), cuda::format_of(from.dtype), stage(into),
                      cuda::format_of(into.dtype), narrow(from.kv_heads()),
                      narrow(from.most_rows()), narrow(from.head_dim), into.shared_positions,
                      stream());
  }

  void rope_keys(const SegmentView& from, ConstMatrix cos_sin, RopeLayout layout,
                 const SegmentStore& into) override {
    check_rope_keys(from, cos_sin, into);
    if (from.most_rows() == 0) return;
    cuda::rope_keys(stage(from), rows_of(cos_sin), layout == RopeLayout::kHalves, stage(into),
                    cuda::format_of(from.dtype), narrow(from.kv_heads()), narrow(from.most_rows()),
                    narrow(from.head_dim), stream());
  }

 private:
  cudaStream_t stream() const { return device_.stream(); }

  static const float* vector_data(const Weight& weight) {
    return static_cast<const float*>(weight.view.data);
  }

  static WeightFormat format_of(const Weight& weight) {
    return weight.view.dtype == DType::kF32 ? WeightFormat::kF32 : WeightFormat::kBF16;
  }

  static cuda::HeadStore store_of(const SegmentStore& s, std::size_t head) {
    const HeadRows& rows = s.heads[head];
    return {.keys = offset<void>(s.keys, key_bytes(s.dtype, rows.begin, s.head_dim)),
            .values = offset<void>(s.values, value_bytes(s.dtype, rows.begin, s.head_dim)),
            .positions = s.positions + (s.shared_positions ? 0 : rows.begin)};
  }

  const cuda::Head* stage(const SegmentView& segment) {
    heads_.clear();
    cuda::list_heads(segment, heads_);
    return staging_.put(std::span<const cuda::Head>(heads_));
  }

  const cuda::HeadStore* stage(const SegmentStore& segment) {
    stores_.clear();
    for (std::size_t h = 0; h < segment.kv_heads(); ++h) stores_.push_back(store_of(segment, h));
    return staging_.put(std::span<const cuda::HeadStore>(stores_));
  }

  // Rows [row, row + count) of a stored weight into decoded_.
  void decode(const TensorView& host, std::size_t row, std::size_t count, WeightFormat format) {
    const std::size_t stored = row_bytes(host.dtype, host.cols);
    std::vector<float> numbers(host.cols);
    decoded_.resize(count * host.cols * (format == WeightFormat::kF32 ? 4 : 2));
    for (std::size_t r = 0; r < count; ++r) {
      const auto* from = static_cast<const std::byte*>(host.data) + (row + r) * stored;
      dequantize(host.dtype, from, host.cols, numbers.data());
      if (format == WeightFormat::kF32) {
        std::copy(numbers.begin(), numbers.end(),
                  offset<float>(decoded_.data(), r * host.cols * sizeof(float)));
      } else {
        std::transform(numbers.begin(), numbers.end(),
                       offset<std::uint16_t>(decoded_.data(), r * host.cols * 2), f32_to_bf16);
      }
    }
  }

  // x in bfloat16, densely packed.
  const void* rounded(const ConstMatrix& x) {
    const std::size_t bytes = x.rows * x.cols * 2;
    if (rounded_.bytes() < bytes) rounded_ = device_.allocate(bytes);
    cuda::round_to_bf16(rows_of(x), rounded_.data(), stream());
    return rounded_.data();
  }

  cuda::Device device_;
  bool graphs_;
  cuda::Staging staging_;
  cuda::Gemm gemm_;
  cuda::Attending attending_;
  WeightFormat format_;  // of matrices
  // Work memory, grown when a call needs more.
  Buffer rounded_;    // [T, K] bfloat16
  Buffer summaries_;  // [T]
  std::vector<cuda::Summary> host_summaries_;
  std::vector<cuda::Head> heads_;
  std::vector<cuda::HeadStore> stores_;
  std::vector<std::byte> decoded_;
};

}  // namespace

std::vector<CudaDevice> cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return {};
  std::vector<CudaDevice> devices;
  for (int number = 0; number < count; ++number) {
    cudaDeviceProp p{};
    cuda::check(cudaGetDeviceProperties(&p, number), "ask what a device is");
    std::string id;
    for (const char byte : p.uuid.bytes) id += fmt::format("{:02x}", byte & 0xff);
    devices.push_back({id, p.name, p.totalGlobalMem});
  }
  return devices;
}

std::string cuda_versions() {
  int driver = 0;
  int runtime = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  const auto text = [](int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); };
  return fmt::format("{}, runtime {}", driver == 0 ? "no driver" : "driver " + text(driver),
                     text(runtime));
}

std::unique_ptr<Ops> make_cuda_ops(int device, CudaPrecision precision, bool graphs) {
  return std::make_unique<CudaOps>(device, precision, graphs);
}

}  // namespace varve
