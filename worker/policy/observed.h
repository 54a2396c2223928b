// What attention yields on the way, kept for one layer of one sequence because a scorer asked for
// it. Nothing of it depends on how the rows were cut into steps.
#pragma once

#include <span>
#include <vector>

#include "common/policy/policy_config.h"
#include "kernels/ops.h"
#include "worker/policy/selection.h"

namespace varve {

/// Some rows of a step, after their attention: q [T, Hq * D] after rotation, lse [T, Hq] over all
/// that they see.
struct ObservedRows {
  ConstMatrix q;
  ConstMatrix lse;
  std::span<const std::int32_t> positions;  // [T]
  ConstMatrix back;  // [T, rope_dims], angles that undo the rotation; only for query_moments
};

/// An Observed as bytes.
struct SavedObserved {
  std::vector<std::byte> buffer;  // queries, lse and mass
  std::vector<std::int32_t> positions;
  std::uint64_t next = 0;
  std::uint64_t held = 0;
  std::vector<double> sums;
  std::vector<double> products;
  std::uint64_t counted = 0;
  std::int32_t newest = -1;
};
template <class A>
void visit(A& a, SavedObserved& o) {
  a(o.buffer, o.positions, o.next, o.held, o.sums, o.products, o.counted, o.newest);
}

class Observed {
 public:
  /// Bytes as observed_bytes(model, needs, rows), of which `rows` can receive mass. Queries at
  /// positions below `skip` do not count for the moments. All references must outlive this.
  Observed(const ModelConfig& model, const ObservedNeeds& needs, std::size_t rows, std::size_t skip,
           Ops& ops);
  /// The same content with room for another number of rows.
  Observed copy(std::size_t rows) const;
  SavedObserved save() const;
  /// PeerError if it was saved for other needs or another number of rows.
  void load(const SavedObserved& saved);

  /// `segments`: the rows that can receive mass, oldest first, of equally many per head.
  void observe(const ObservedRows& rows, std::span<const SegmentView> segments,
               const AttendParams& params);
  /// The segments hold these rows alone from now on.
  void gather(const KeptRows& kept);

  std::size_t bytes() const { return observed_bytes(model_, needs_, rows_); }
  const ObservedNeeds& needs() const { return needs_; }
  std::size_t rows() const { return rows_; }

  /// The last queries, oldest first, in one or two pieces.
  struct Queries {
    ConstMatrix q;    // [m, Hq * D]
    ConstMatrix lse;  // [m, Hq]
    std::span<const std::int32_t> positions;
  };
  std::vector<Queries> last_queries(std::size_t count) const;
  /// [Hkv, rows], in memory of the backend.
  ConstMatrix mass() const { return mass_; }
  /// Position of the newest query; -1 before the first.
  std::int32_t newest() const { return newest_; }
  /// How many queries the moments are of.
  std::size_t counted() const { return counted_; }
  /// Of a query head before rotation, added up over those queries: q [D], and q q^T [D, D], whose
  /// lower triangle is left at 0.
  std::span<const double> sums(std::size_t head) const;
  std::span<const double> products(std::size_t head) const;

 private:
  void keep_queries(const ObservedRows& rows);
  void add_moments(const ObservedRows& rows);
  void add_to_moments(std::size_t head, const double* q);
  bool counts(std::int32_t position) const { return position >= static_cast<std::int64_t>(skip_); }

  const ModelConfig& model_;
  ObservedNeeds needs_;
  std::size_t rows_;
  std::size_t skip_;
  Ops& ops_;
  Buffer buffer_;                        // queries, lse and mass
  Matrix queries_;                       // [last_queries, Hq * D], a ring
  Matrix lse_;                           // [last_queries, Hq]
  std::vector<std::int32_t> positions_;  // [last_queries]
  std::size_t next_ = 0;                 // of the ring
  std::size_t held_ = 0;
  Matrix mass_;                   // [Hkv, rows]
  std::vector<double> sums_;      // [Hq, D]
  std::vector<double> products_;  // [Hq, D, D]
  std::size_t counted_ = 0;
  std::int32_t newest_ = -1;
};

}  // namespace varve
