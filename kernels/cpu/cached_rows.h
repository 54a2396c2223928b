// The verbs that write cached rows, spread over threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/ops.h"

namespace varve {

/// As the verbs of Ops. A task is a key head x a group of its rows.
class CachedRowVerbs {
 public:
  CachedRowVerbs(const RowKernels& kernels, ThreadPool& pool);

  void append(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
              const SegmentStore& into, std::size_t at);
  void decode(const SegmentView& from, std::size_t head, std::size_t begin, const Matrix& keys,
              const Matrix& values);
  void encode(const SegmentView& from, const SegmentStore& into);
  void rope_keys(const SegmentView& from, const ConstMatrix& cos_sin, RopeLayout layout,
                 const SegmentStore& into);

 private:
  /// Rows [first, first + count) of a head.
  struct Group {
    std::size_t head;
    std::size_t first;
    std::size_t count;
  };

  /// work(group, rows) over all rows, `rows` being room for the group [count, D].
  template <class Work>
  void each_group(const SegmentView& segment, const Work& work);
  void write_row(const SegmentStore& into, void* base, std::size_t row, const float* from) const;
  void encode_group(const SegmentView& from, const Group& group, const Matrix& rows,
                    const SegmentStore& into) const;

  RowKernels kernels_;
  ThreadPool& pool_;
  std::vector<Buffer> decoded_;  // [threads]: a group's rows, grown when a call needs more
};

}  // namespace varve
