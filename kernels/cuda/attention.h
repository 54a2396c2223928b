// Chooses how an Ops::attend is cut into kernels, and launches them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/staging.h"
#include "kernels/ops.h"

namespace varve::cuda {

/// Two ways to cut the work, the same arithmetic in both (attend_mma.h): by rows if that keeps
/// every multiprocessor busy, else by runs, whose partials wait in memory until all are there.
class Attending {
 public:
  /// `exact`: everything in float32.
  Attending(Device& device, Staging& staging, bool exact);

  void attend(ConstMatrix q, const std::int32_t* q_positions, std::span<const AttendItem> items,
              const AttendParams& params, const Partial& state);
  void add_mass(ConstMatrix q, const std::int32_t* q_positions, const AttendItem& item,
                const AttendParams& params, const ConstMatrix& lse, const Matrix& mass);

 private:
  struct Call;
  void by_rows(const Call& call);
  void by_runs(const Call& call);
  /// Slots of each item and their number.
  std::size_t list_slots(const Call& call);
  void fold_runs(const Call& call, RowFormat format, const Partials& slots);
  bool takes_mma(const Attention& attention) const;
  Partials reserve_slots(const Call& call, std::size_t slots);

  Device& device_;
  Staging& staging_;
  bool exact_;
  Buffer slots_out_;  // [slots, Hq * D], grown when a call needs more
  Buffer slots_lse_;  // [slots, Hq]
  // Work memory of a call.
  std::vector<Head> heads_;  // [items, Hkv]
  std::vector<RunTask> tasks_;
  std::vector<ItemSlots> items_;
};

/// The heads of a segment, as kernels see them.
void list_heads(const SegmentView& segment, std::vector<Head>& heads);
RowFormat format_of(DType dtype);

}  // namespace varve::cuda
