// The bytes of a job's caches over time, by layer. Three phases: the document is read; it is
// compacted, layer after layer, each copy made before the full rows of that layer go; questions are
// answered. Exact where counts alone decide, else the most that it can be.
#pragma once

#include <cstddef>
#include <vector>

#include "common/plan/footprint.h"

namespace varve {

class CachePlan {
 public:
  CachePlan(const ModelConfig& model, const JobShape& job);

  /// Most that a stage of these layers holds at any time.
  std::size_t peak(LayerRange layers) const;
  /// What it holds while questions are answered, as many as there may be at a time.
  std::size_t answering(LayerRange layers) const;
  /// What is kept of the document, once.
  std::size_t kept(LayerRange layers) const {
    return kept_of(layers, layers.count()) - sum(layers, &Layer::watched);
  }

  // An evaluation tries several policies on one document, each on a fork of it; or, where a policy
  // compacts while the document is read, on one of its own.
  /// The whole document's rows and what is observed of them.
  std::size_t document(LayerRange layers) const;
  /// Most that such a fork or document of its own and its questions hold beside that.
  std::size_t branch(LayerRange layers) const;

  /// Whether the peak is reached, whatever the text and the answers are.
  bool is_exact() const { return exact_; }
  /// Rows of the document per key head and layer, on average, that are kept.
  std::size_t budget() const { return budget_; }
  /// Rows of a sequence whose keys are turned to their slots whenever they are attended; 0: none.
  std::size_t plain_slots() const { return plain_slots_; }

 private:
  struct Layer {
    ObservedNeeds needs;       // of the document
    std::size_t document = 0;  // its open segment
    std::size_t observed = 0;  // by-products of attention, of the document
    std::size_t copied = 0;    // of one question, until it is compacted
    std::size_t kept = 0;      // of the document, once
    std::size_t making = 0;    // most while that is made
    std::size_t watched = 0;   // observed of the kept rows, for questions that go on evicting
    std::size_t own = 0;       // segments of the questions at a time, and by-products they keep
  };

  void fill_layer(const ModelConfig& model, const JobShape& job, std::size_t budget, Layer& layer);
  std::size_t own_bytes(const ModelConfig& model, const JobShape& job, std::size_t budget,
                        const Layer& layer) const;
  void bound_kept(const ModelConfig& model, const JobShape& job);
  std::size_t slots_of(const JobShape& job) const;

  std::size_t sum(LayerRange layers, std::size_t Layer::*part) const;
  std::size_t kept_of(LayerRange layers, std::size_t first) const;
  std::size_t making_of(LayerRange layers, std::size_t first) const;
  std::size_t compacting(LayerRange layers, std::size_t (*going)(const Layer&)) const;
  std::size_t copies_of_questions(LayerRange layers) const;
  std::size_t once_per_question(LayerRange layers) const;

  enum class Timing { kNever, kOnce, kPerQuestion };
  Timing timing_ = Timing::kNever;
  std::size_t questions_ = 0;  // that are open at a time
  bool alone_ = false;         // there is one question in all
  bool streams_ = false;       // the document is compacted while it is read
  bool exact_ = true;
  std::size_t budget_ = 0;
  std::size_t plain_slots_ = 0;
  std::size_t work_bytes_ = 0;  // of turned keys and of probes, as long as the stage lives
  std::vector<Layer> layers_;
  // Where budgets of layers are not known before, most that [k] layers together keep, and most of
  // one layer while it is made, beyond that.
  std::vector<std::size_t> most_kept_;
  std::size_t most_staging_ = 0;
};

}  // namespace varve
