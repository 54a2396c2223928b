// A document's sequence in the middle of its stream, as bytes: what a stage needs to go on reading
// as if it had never stopped.
#pragma once

#include <cstdint>
#include <vector>

#include "common/wire/archive.h"
#include "worker/policy/observed.h"

namespace varve {

struct SavedSegment {
  std::vector<std::uint32_t> rows;  // of each key head
  std::vector<std::byte> buffer;    // all of it, as Segment lays it out
};
template <class A>
void visit(A& a, SavedSegment& s) {
  a(s.rows, s.buffer);
}

/// What one question keeps of a document that is read locally.
struct SavedQuestion {
  SavedSegment kept;
  std::vector<float> scores;  // [Hkv, kept rows], under a contrast; else none
};
template <class A>
void visit(A& a, SavedQuestion& q) {
  a(q.kept, q.scores);
}

struct SavedLayer {
  SavedSegment own;
  std::vector<SavedQuestion> questions;
  std::vector<SavedObserved> observed;  // none or one
};
template <class A>
void visit(A& a, SavedLayer& l) {
  a(l.own, l.questions, l.observed);
}

/// Scores of all stages that no selection was made by yet.
struct SavedScores {
  std::vector<std::uint32_t> known;  // which of their rows are still held
  std::vector<std::int32_t> positions;
  std::vector<std::int64_t> sums;
};
template <class A>
void visit(A& a, SavedScores& s) {
  a(s.known, s.positions, s.sums);
}

struct SavedSequence {
  std::uint64_t seen = 0;
  std::vector<SavedLayer> layers;      // of the stage
  std::vector<SavedScores> under_way;  // oldest first
};
template <class A>
void visit(A& a, SavedSequence& s) {
  a(s.seen, s.layers, s.under_way);
}

}  // namespace varve
