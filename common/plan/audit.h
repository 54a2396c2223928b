// What an audited run says of its cache: which rows of the document each layer kept, which of them
// the answers attended to, and memory over time. Positions count from the first token of the
// prompt. Two grids lie over them: spans, few tokens each, which are shown as text, and cells, so
// many that a picture of all layers has room for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/model/model_config.h"

namespace varve {

/// The same on every rank.
struct AuditOrders {
  std::uint32_t span_rows = 0;  // 0: no audit
  std::uint32_t cell_rows = 0;

  explicit operator bool() const { return span_rows > 0; }
};
template <class A>
void visit(A& a, AuditOrders& o) {
  a(o.span_rows, o.cell_rows);
}

/// Spans of 8 tokens and at most 512 cells, both wider where `rows` rows and `questions` questions
/// would make reports of many megabytes. `own_maps`: whether each question may keep other rows.
AuditOrders audit_orders(const ModelConfig& model, std::size_t rows, std::size_t questions,
                         bool own_maps);

/// Spans or cells of `width` rows that `rows` rows take.
constexpr std::size_t grid_size(std::size_t rows, std::size_t width) {
  return (rows + width - 1) / width;
}

/// What one layer kept of the document for one sequence: the document's own, or a question's.
struct KeptMap {
  std::uint32_t sequence = 0;
  std::uint32_t layer = 0;
  std::vector<std::uint32_t> rows;  // [Hkv, cells]
};
template <class A>
void visit(A& a, KeptMap& m) {
  a(m.sequence, m.layer, m.rows);
}

/// The same by spans, over a rank's layers: sums, so that ranks add up.
struct KeptSpans {
  std::uint32_t sequence = 0;
  std::vector<std::uint32_t> rows;    // [spans], of all layers and key heads
  std::vector<std::uint32_t> layers;  // [spans], those that kept a row of the span in some head
};
template <class A>
void visit(A& a, KeptSpans& s) {
  a(s.sequence, s.rows, s.layers);
}

/// What the rows from which a question's answer was sampled paid to the document: probability, of
/// which each row, layer and query head has 1 to give.
struct Attended {
  std::uint32_t sequence = 0;
  std::uint32_t rows = 0;           // as many on each rank
  std::vector<std::int64_t> spans;  // [spans], in units of 1 / kAttendedOne, over a rank's layers
};
template <class A>
void visit(A& a, Attended& x) {
  a(x.sequence, x.rows, x.spans);
}

/// Whole numbers add up to the same sum however a model was cut. 2^31 rows x heads x layers fit.
inline constexpr double kAttendedOne = static_cast<double>(std::uint64_t{1} << 32U);

struct MemorySample {
  std::uint32_t milliseconds = 0;  // since the rank's first step
  std::uint64_t bytes = 0;         // the most that was held since the sample before
};
template <class A>
void visit(A& a, MemorySample& s) {
  a(s.milliseconds, s.bytes);
}

/// Of one rank. Without an audit all is empty.
struct AuditReport {
  std::vector<KeptMap> maps;
  std::vector<KeptSpans> kept;
  std::vector<Attended> attended;
  std::vector<MemorySample> memory;
};
template <class A>
void visit(A& a, AuditReport& r) {
  a(r.maps, r.kept, r.attended, r.memory);
}

}  // namespace varve
