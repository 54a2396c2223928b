#include "tests/kernels/mirrored_ops.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "common/error.h"

namespace varve::test {
namespace {

enum class Access { kRead, kWrite };

std::size_t matrix_bytes(const ConstMatrix& m) {
  return m.rows == 0 ? 0 : ((m.rows - 1) * m.stride + m.cols) * sizeof(float);
}

struct SegmentBytes {
  std::size_t keys, values, positions;
};

SegmentBytes segment_bytes(const SegmentView& s) {
  std::size_t end = 0;
  for (const HeadRows& head : s.heads) {
    end = std::max<std::size_t>(end, head.begin + stored_rows(s.dtype, head.rows));
  }
  std::size_t rows = s.most_rows();
  if (!s.shared_positions) {
    rows = 0;
    for (const HeadRows& head : s.heads) {
      rows = std::max<std::size_t>(rows, std::size_t{head.begin} + head.rows);
    }
  }
  return {key_bytes(s.dtype, end, s.head_dim), value_bytes(s.dtype, end, s.head_dim),
          rows * sizeof(std::int32_t)};
}

// What verbs wrote, a line for each operand: its bytes and their FNV-1a hash.
class WrittenLog {
 public:
  WrittenLog() {
    if (const char* path = std::getenv("VARVE_OPS_LOG")) file_ = std::fopen(path, "a");
  }
  ~WrittenLog() {
    if (file_ != nullptr) std::fclose(file_);
  }
  WrittenLog(const WrittenLog&) = delete;
  WrittenLog& operator=(const WrittenLog&) = delete;

  void note(const char* verb, const void* data, std::size_t bytes) {
    if (file_ == nullptr) return;
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (std::size_t i = 0; i < bytes; ++i) {
      hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3U;
    }
    std::fprintf(file_, "%s %zu %016" PRIx64 "\n", verb, bytes, hash);
  }

 private:
  std::FILE* file_ = nullptr;
};

// Memory that the backend gave: operands in it are there already. What was freed stays in the list:
// no host memory has such an address.
class Given {
 public:
  void note(const Buffer& buffer) {
    const auto* begin = buffer.as<const std::byte>();
    ends_[begin] = std::max(ends_[begin], begin + buffer.bytes());
  }
  bool has(const void* data) const {
    const auto* byte = static_cast<const std::byte*>(data);
    const auto behind = ends_.upper_bound(byte);
    return behind != ends_.begin() && byte < std::prev(behind)->second;
  }

 private:
  std::map<const std::byte*, const std::byte*> ends_;  // by begin
};

// The operands of one call.
class Mirror {
 public:
  Mirror(Ops& device, const Given& given, WrittenLog& log, const char* verb)
      : device_(device), given_(given), log_(log), verb_(verb) {}

  void add(const ConstMatrix& m) { add(m.data, matrix_bytes(m), Access::kRead); }
  void add(const Matrix& m) { add(m.data, matrix_bytes(m), Access::kWrite); }
  void add(const Partial& p) {
    add(p.out);
    add(p.lse);
  }
  void add(const SegmentView& s) { add(s, Access::kRead); }
  void add(const SegmentStore& s) { add(s.view(), Access::kWrite); }

  /// Behind all `add`s.
  void open() {
    join();
    for (Range& range : ranges_) {
      range.copy = device_.allocate(range.bytes);
      device_.upload(range.copy.data(), range.host, range.bytes);
    }
  }
  void close() {
    // Not by address, which is another one in each run.
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.place < b.place; });
    for (const Range& range : ranges_) {
      if (range.access == Access::kRead) continue;
      device_.download(range.host, range.copy.data(), range.bytes);
      log_.note(verb_, range.host, range.bytes);
    }
  }

  template <class T>
  T* at(T* host) const {
    const auto* byte = reinterpret_cast<const std::byte*>(host);
    for (const Range& range : ranges_) {
      if (byte >= range.host && byte < range.host + range.bytes) {
        return reinterpret_cast<T*>(range.copy.as<std::byte>() + (byte - range.host));
      }
    }
    return given_.has(host) ? host : nullptr;  // or an operand of no bytes
  }
  template <class T>
  T* at_void(T* host) const {
    return const_cast<std::byte*>(at(static_cast<const std::byte*>(host)));
  }
  ConstMatrix at(const ConstMatrix& m) const { return {at(m.data), m.rows, m.cols, m.stride}; }
  Matrix at(const Matrix& m) const { return {at(m.data), m.rows, m.cols, m.stride}; }
  Partial at(const Partial& p) const { return {at(p.out), at(p.lse)}; }
  SegmentView at(SegmentView s) const {
    s.keys = at_void(s.keys);
    s.values = at_void(s.values);
    s.positions = at(s.positions);
    return s;
  }
  SegmentStore at(SegmentStore s) const {
    s.keys = at_void(s.keys);
    s.values = at_void(s.values);
    s.positions = at(s.positions);
    return s;
  }

 private:
  struct Range {
    std::byte* host;
    std::size_t bytes;
    Access access;
    std::size_t place;  // among the operands; of joined ones the first
    Buffer copy{};
  };

  void add(const void* data, std::size_t bytes, Access access) {
    if (bytes == 0 || given_.has(data)) return;
    // Host memory of tests: what is only read is given back unchanged.
    ranges_.push_back(
        {static_cast<std::byte*>(const_cast<void*>(data)), bytes, access, ranges_.size()});
  }
  void add(const SegmentView& s, Access access) {
    const SegmentBytes bytes = segment_bytes(s);
    add(s.keys, bytes.keys, access);
    add(s.values, bytes.values, access);
    add(s.positions, bytes.positions, access);
  }

  // Ranges that share bytes become one.
  void join() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.host < b.host; });
    std::vector<Range> joined;
    for (Range& range : ranges_) {
      Range* last = joined.empty() ? nullptr : &joined.back();
      if (last == nullptr || range.host >= last->host + last->bytes) {
        joined.push_back(std::move(range));
        continue;
      }
      const std::byte* end = std::max(last->host + last->bytes, range.host + range.bytes);
      last->bytes = static_cast<std::size_t>(end - last->host);
      if (range.access == Access::kWrite) last->access = Access::kWrite;
      last->place = std::min(last->place, range.place);
    }
    ranges_ = std::move(joined);
  }

  Ops& device_;
  const Given& given_;
  WrittenLog& log_;
  const char* verb_;
  std::vector<Range> ranges_;
};

class MirroredOps final : public Ops {
 public:
  explicit MirroredOps(std::unique_ptr<Ops> device) : device_(std::move(device)) {}

  std::string describe() const override { return device_->describe(); }
  Buffer allocate(std::size_t bytes) override {
    Buffer buffer = device_->allocate(bytes);
    given_.note(buffer);
    return buffer;
  }
  void upload(void* to, const void* host, std::size_t bytes) override {
    if (given_.has(to)) return device_->upload(to, host, bytes);
    if (bytes > 0) std::memcpy(to, host, bytes);
  }
  void download(void* host, const void* from, std::size_t bytes) override {
    if (given_.has(from)) return device_->download(host, from, bytes);
    if (bytes > 0) std::memcpy(host, from, bytes);
  }
  Weight prepare(const TensorView& host) override { return device_->prepare(host); }

  void embed(std::span<const std::int32_t> tokens, const Weight& table, Matrix out) override {
    run(
        "embed", [&](const Mirror& m) { device_->embed(tokens, table, m.at(out)); }, out);
  }
  void linear(ConstMatrix x, std::span<const Projection> outputs, Products products) override {
    Mirror mirror(*device_, given_, log_, "linear");
    mirror.add(x);
    for (const Projection& output : outputs) mirror.add(output.y);
    mirror.open();
    std::vector<Projection> there;
    for (const Projection& p : outputs) there.push_back({p.w, mirror.at(p.y), p.bias});
    device_->linear(mirror.at(x), there, products);
    mirror.close();
  }
  void rms_norm(ConstMatrix x, const Weight& gain, double eps, Matrix y) override {
    run(
        "rms_norm", [&](const Mirror& m) { device_->rms_norm(m.at(x), gain, eps, m.at(y)); }, x, y);
  }
  void rope_angles(std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                   Matrix cos_sin) override {
    run(
        "rope_angles",
        [&](const Mirror& m) { device_->rope_angles(positions, inv_freq, m.at(cos_sin)); },
        cos_sin);
  }
  void rope(Matrix x, ConstMatrix cos_sin, std::size_t head_dim, RopeLayout layout) override {
    run(
        "rope", [&](const Mirror& m) { device_->rope(m.at(x), m.at(cos_sin), head_dim, layout); },
        x, cos_sin);
  }
  void silu_mul(ConstMatrix gate, ConstMatrix up, Matrix y) override {
    run(
        "silu_mul", [&](const Mirror& m) { device_->silu_mul(m.at(gate), m.at(up), m.at(y)); },
        gate, up, y);
  }
  void add(ConstMatrix x, Matrix y) override {
    run(
        "add", [&](const Mirror& m) { device_->add(m.at(x), m.at(y)); }, x, y);
  }
  void summarize(ConstMatrix x, std::span<RowSummary> out) override {
    run(
        "summarize", [&](const Mirror& m) { device_->summarize(m.at(x), out); }, x);
    log_.note("summarize", out.data(), out.size_bytes());
  }

  void append_rows(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                   const SegmentStore& into, std::size_t at) override {
    run(
        "append_rows",
        [&](const Mirror& m) { device_->append_rows(m.at(k), m.at(v), positions, m.at(into), at); },
        k, v, into);
  }
  void clear(Partial state) override {
    run(
        "clear", [&](const Mirror& m) { device_->clear(m.at(state)); }, state);
  }
  void attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
              std::span<const AttendItem> items, const AttendParams& params,
              Partial state) override {
    Mirror mirror(*device_, given_, log_, "attend");
    mirror.add(q);
    mirror.add(state);
    for (const AttendItem& item : items) mirror.add(item.segment);
    mirror.open();
    std::vector<AttendItem> there;
    for (const AttendItem& item : items) {
      there.push_back({item.row_begin, item.row_count, mirror.at(item.segment)});
    }
    device_->attend(mirror.at(q), q_positions, there, params, mirror.at(state));
    mirror.close();
  }
  void add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions, const AttendItem& item,
                const AttendParams& params, ConstMatrix lse, Matrix mass) override {
    run(
        "add_mass",
        [&](const Mirror& m) {
          const AttendItem there{item.row_begin, item.row_count, m.at(item.segment)};
          device_->add_mass(m.at(q), q_positions, there, params, m.at(lse), m.at(mass));
        },
        q, item.segment, lse, mass);
  }
  void merge(const Partial& other, Partial state) override {
    run(
        "merge", [&](const Mirror& m) { device_->merge(m.at(other), m.at(state)); }, other, state);
  }

  void gather_rows(const SegmentView& from, std::size_t head, std::span<const std::uint32_t> rows,
                   const SegmentStore& into, std::size_t at) override {
    run(
        "gather_rows",
        [&](const Mirror& m) { device_->gather_rows(m.at(from), head, rows, m.at(into), at); },
        from, into);
  }
  void decode_rows(const SegmentView& from, std::size_t head, std::size_t begin, Matrix keys,
                   Matrix values) override {
    run(
        "decode_rows",
        [&](const Mirror& m) {
          device_->decode_rows(m.at(from), head, begin, m.at(keys), m.at(values));
        },
        from, keys, values);
  }
  void encode_rows(const SegmentView& from, const SegmentStore& into) override {
    run(
        "encode_rows", [&](const Mirror& m) { device_->encode_rows(m.at(from), m.at(into)); }, from,
        into);
  }
  void rope_keys(const SegmentView& from, ConstMatrix cos_sin, RopeLayout layout,
                 const SegmentStore& into) override {
    run(
        "rope_keys",
        [&](const Mirror& m) { device_->rope_keys(m.at(from), m.at(cos_sin), layout, m.at(into)); },
        from, cos_sin, into);
  }

 private:
  // Calls `verb` with all operands there.
  template <class Verb, class... Operands>
  void run(const char* name, const Verb& verb, const Operands&... operands) {
    Mirror mirror(*device_, given_, log_, name);
    (mirror.add(operands), ...);
    mirror.open();
    verb(mirror);
    mirror.close();
  }

  std::unique_ptr<Ops> device_;
  Given given_;
  WrittenLog log_;
};

}  // namespace

std::unique_ptr<Ops> make_mirrored_ops(std::unique_ptr<Ops> device) {
  return std::make_unique<MirroredOps>(std::move(device));
}

}  // namespace varve::test
