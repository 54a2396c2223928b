// What one sequence holds of one layer: sealed segments that it may share with others, an open one
// of its own, and what a scorer asked to have observed.
#pragma once

#include <memory>
#include <vector>

#include "worker/cache/ledger.h"
#include "worker/cache/segment.h"
#include "worker/policy/observed.h"

namespace varve {

/// An Observed whose bytes stand in the ledger, which must outlive this.
class TrackedObserved {
 public:
  TrackedObserved(Observed observed, Ledger& ledger)
      : observed_(std::move(observed)), bytes_(observed_.bytes()), ledger_(ledger) {
    ledger_.add(bytes_);
  }
  ~TrackedObserved() { ledger_.remove(bytes_); }
  TrackedObserved(const TrackedObserved&) = delete;
  TrackedObserved& operator=(const TrackedObserved&) = delete;

  Observed& get() { return observed_; }
  const Observed& get() const { return observed_; }

 private:
  Observed observed_;
  std::size_t bytes_;
  Ledger& ledger_;
};

/// What one question keeps of a document that is read locally.
struct QuestionCache {
  std::unique_ptr<Segment> kept;  // while it is read; behind the first rows, before the others
  std::vector<float> probed;      // [Hkv, kept and own rows but the first]: what its probe paid
  std::vector<std::shared_ptr<const Segment>> shared;  // once it is compacted: all that it sees
};

struct LayerCache {
  std::vector<std::shared_ptr<const Segment>> shared;  // sealed, oldest first
  std::shared_ptr<Segment> own;                        // open; null where there are no own rows
  std::shared_ptr<TrackedObserved> observed;           // null: no scorer asks for anything
  std::vector<float> probed;             // [Hkv, own rows]: what the probes of the last step paid
  std::vector<QuestionCache> questions;  // of a document that is read locally
};

}  // namespace varve
