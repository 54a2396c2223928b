// The mathematics of a backend, as verbs over views. A backend knows neither model, policy, cache,
// rank nor file format. Shapes: T = rows of the step, K/N = in/out features, Hq/Hkv = query and
// key/value heads, D = head size. Activations are float32 and live in memory that the same backend
// allocated; weights and cached rows keep their stored format.
//
// The law that every backend keeps (and tests/kernels checks): *batch invariance*. What a verb
// writes for one row depends, bit for bit, on that row's inputs alone, never on how many rows came
// with it, on their order, or on the number of threads. This is what makes an answer independent of
// chunk size, stage count and of the questions asked beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/model_config.h"
#include "common/model/weight_form.h"
#include "common/tensor.h"
#include "kernels/buffer.h"
#include "kernels/segment_view.h"

namespace varve {

/// A weight [N, K] as the backend wants to read it. On the CPU it may simply be the mapped file.
struct Weight {
  TensorView view;  // what the kernels read
  Buffer storage;   // owns view.data if the backend had to copy or repack; else empty
  explicit operator bool() const { return static_cast<bool>(view); }
};

/// One of several products with the same input.
struct Projection {
  const Weight& w;               // [N, K]
  Matrix y;                      // [T, N]
  const Weight* bias = nullptr;  // [N] in float32
};

/// How `linear` multiplies. kFloat: in float32. kSplit: on matrix units that take both factors as
/// sums of two bfloat16, if the machine has any; that is many times as fast for many rows, slower
/// for one, and each product is off by up to 3 * 2^-16 of itself. Without them, kSplit is kFloat.
enum class Products : std::uint8_t { kFloat, kSplit };

/// What a token is chosen by: of one row, the index of the largest element (the lowest among
/// equals), its value, and the natural logarithm of the sum of exp(x - largest).
struct RowSummary {
  std::int32_t top = 0;
  float largest = 0;
  float log_sum = 0;
};

/// Query rows [row_begin, row_begin + row_count) of the step look at one segment. Rows of several
/// sequences that share a segment (questions over one document) may come as one item.
struct AttendItem {
  std::size_t row_begin = 0;
  std::size_t row_count = 0;
  SegmentView segment;
};

/// What `add_mass` makes of the weights that a key receives.
enum class MassFold : std::uint8_t { kSum, kMax };

struct AttendParams {
  std::size_t q_heads = 0;
  float scale = 0;                      // usually 1 / sqrt(D)
  std::optional<std::size_t> window{};  // a query at p sees keys at (p - window, p]
  MassFold mass = MassFold::kSum;       // of add_mass alone
};

/// Attention over a part of the keys: softmax-weighted values, and the natural logarithm of the sum
/// of exponentials that normalised them. No visible key: out = 0, lse = -infinity. Two partials
/// over disjoint keys merge exactly: m = max(lse), w_i = exp(lse_i - m), out = sum(w_i out_i) /
/// sum(w_i), lse = m + log(sum(w_i)).
struct Partial {
  Matrix out;  // [T, Hq * D]
  Matrix lse;  // [T, Hq]
};

/// Segments are folded in runs of this many rows, counted from a head's first row, each run a
/// partial of its own. Fixed boundaries let a decode step spread one long segment over threads and
/// still give the bits of a prefill.
inline constexpr std::size_t kAttendRunRows = 1024;

class Ops {
 public:
  virtual ~Ops() = default;

  /// "reference", "cpu (avx2)", ...: names the backend and the instruction set in use.
  virtual std::string describe() const = 0;

  // Steps.
  /// The verbs until `end_step` are a decode step, much like the one before: a device may collect
  /// them and start them together. A verb that needs what they write to be there, `download` for
  /// one, works as ever. What throws in between ends the use of this object.
  virtual void begin_step() {}
  virtual void end_step() {}

  // Memory.
  /// Of a device: the queue (a cudaStream_t) of its work, which it does in the order of the calls.
  /// Null: memory is the host's, and a verb returns when its work is done.
  virtual void* queue() const { return nullptr; }
  bool on_device() const { return queue() != nullptr; }
  virtual Buffer allocate(std::size_t bytes) = 0;
  virtual void upload(void* to, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* from, std::size_t bytes) = 0;
  /// Makes a mapped weight readable by `linear` and `embed`. The source must outlive the result.
  virtual Weight prepare(const TensorView& host) = 0;
  /// What prepared weights are held in: weight_form of this backend (kernels/backend.h).
  virtual WeightForm weight_form() const { return WeightForm::kStored; }

  // Linear algebra.
  /// out[t] = table[tokens[t]] as float32. table [V, K] in any dtype, out [T, K].
  virtual void embed(std::span<const std::int32_t> tokens, const Weight& table, Matrix out) = 0;
  /// For each: y = x [T, K] w^T (+ bias). Together they read x once.
  virtual void linear(ConstMatrix x, std::span<const Projection> outputs, Products products) = 0;
  void linear(ConstMatrix x, std::span<const Projection> outputs) {
    linear(x, outputs, Products::kFloat);
  }
  void linear(ConstMatrix x, const Projection& output, Products products = Products::kFloat) {
    linear(x, std::span(&output, 1), products);
  }

  // Elementwise.
  /// Each row of x is `cols / gain.cols` groups of gain.cols elements; every group is scaled to
  /// unit root mean square (plus eps) and by gain [cols of a group]. In place is allowed.
  virtual void rms_norm(ConstMatrix x, const Weight& gain, double eps, Matrix y) = 0;
  /// cos_sin [T, R]: for pair i < R/2, cos at column i and sin at R/2 + i of
  /// float(position) * inv_freq[i], the float32 product that the checkpoints were trained with.
  virtual void rope_angles(std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                           Matrix cos_sin) = 0;
  /// Rotates the first R elements of each head of x [T, H * head_dim] in place.
  virtual void rope(Matrix x, ConstMatrix cos_sin, std::size_t head_dim, RopeLayout layout) = 0;
  /// y = silu(gate) * up, all [T, N]; y may be gate or up.
  virtual void silu_mul(ConstMatrix gate, ConstMatrix up, Matrix y) = 0;
  /// y += x.
  virtual void add(ConstMatrix x, Matrix y) = 0;
  /// out[t] = summary of x[t], computed from finite values in float32 or better. x [T, N], N >= 1.
  virtual void summarize(ConstMatrix x, std::span<RowSummary> out) = 0;

  // Cached rows and attention.
  /// Encodes rows k, v [T, Hkv * D] (k after RoPE) and their positions as rows [at, at + T) of
  /// every head. Float formats alone.
  virtual void append_rows(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                           const SegmentStore& into, std::size_t at) = 0;
  /// Resets a partial to "no key seen": out = 0, lse = -infinity.
  virtual void clear(Partial state) = 0;
  /// For each item in order, for each of its rows: state = merge(state, attend(q, segment)).
  /// q [T, Hq * D] after RoPE. A key is visible if its position is at most the query's (and within
  /// the window).
  virtual void attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
                      std::span<const AttendItem> items, const AttendParams& params,
                      Partial state) = 0;
  /// How much softmax weight each cached row received (its column mass), for policies that keep
  /// what was looked at: the accumulated attention score of H2O (arXiv 2306.14048) if every row is
  /// added, the observation window of SnapKV (arXiv 2404.14469) if the last rows are. A second pass
  /// over the keys: lse [T, Hq] must be final, all segments of a row folded into it. q [T, Hq * D]
  /// after RoPE, mass [Hkv, at least most_rows()]. For each row t of the item and each of the query
  /// heads h that share key head g:
  ///   mass[g][i] += exp(scale * q[t][h] . k[g][i] - lse[t][h])   for the keys i that t sees,
  /// visible as in attend. A head whose lse is -infinity saw no key and adds nothing. A mass of Hq
  /// rows takes query heads apart: mass[h] instead of mass[g]. Under MassFold::kMax it is the
  /// larger of mass and weight instead of their sum. The law above, carried over to what a key
  /// receives: one float32 addition after the other, rows ascending and then heads, so that mass
  /// does not depend on how a document was cut into chunks (added in order) nor on the number of
  /// threads.
  virtual void add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions,
                        const AttendItem& item, const AttendParams& params, ConstMatrix lse,
                        Matrix mass) = 0;
  /// state = merge(state, other), row by row and head by head.
  virtual void merge(const Partial& other, Partial state) = 0;

  // Rewriting cached rows.
  /// Copies rows (strictly ascending) of one head of `from` to rows at, at + 1, ... of that head of
  /// `into`: keys, values and, if `into` has positions per head, positions. The same float format
  /// on both sides. `into` may lie over `from` if no row moves towards the end.
  virtual void gather_rows(const SegmentView& from, std::size_t head,
                           std::span<const std::uint32_t> rows, const SegmentStore& into,
                           std::size_t at) = 0;
  /// Rows [begin, begin + keys.rows) of one head as float32: keys [n, D], and likewise values
  /// [m, D]. Either may have no rows. Any format.
  virtual void decode_rows(const SegmentView& from, std::size_t head, std::size_t begin,
                           Matrix keys, Matrix values) = 0;
  /// Encodes a float segment into an integer format, heads of equally many rows, positions included
  /// (`into` may have them per head where `from` shares them). The range of a group of 32 numbers
  /// is split into 255, 15 or 3 steps, the minimum rounded down and the step to the nearest float16
  /// that keeps every number within half a step (and one float32 rounding). A group of one float16
  /// number is exact. A group with a number that float16 cannot hold becomes NaN, which a run
  /// reports.
  virtual void encode_rows(const SegmentView& from, const SegmentStore& into) = 0;
  /// Rotates key i of every head by row i of cos_sin [at least most_rows(), R] and rounds it to the
  /// same float format; heads of `into` have as many rows. In place is allowed. Values and
  /// positions stay as they are. Where heads differ in positions, call it per head (`only`).
  virtual void rope_keys(const SegmentView& from, ConstMatrix cos_sin, RopeLayout layout,
                         const SegmentStore& into) = 0;
};

/// "auto" is the best that this machine has. DeviceError names a backend that this build or machine
/// lacks and lists those present. `threads` >= 1.
std::unique_ptr<Ops> make_ops(std::string_view backend, std::size_t threads);
std::vector<std::string> backends();

}  // namespace varve
