// All sequences' caches of one stage. A sequence is, per layer, a list of sealed segments that it
// shares with the sequence it was forked from, and one open segment of its own. Its cache policy
// says when rows go and which; decisions are functions of the configuration and of this sequence's
// own counts, so every stage decides alike and no sequence notices another.
//
// The document is the sequence without a parent. Three ways for a sequence's own rows to live:
//   grow    room for all of them (a whole document, a question under a policy that keeps answers)
//   stream  at most a budget and what comes between two compactions
//   pool    a question's prompt, and of its answer what the decode schedule keeps (SCOPE)
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/plan/footprint.h"
#include "common/plan/report.h"
#include "common/policy/decode_schedule.h"
#include "common/policy/policy_config.h"
#include "common/policy/sequence_rows.h"
#include "common/wire/step.h"
#include "worker/cache/audit.h"
#include "worker/cache/compactor.h"
#include "worker/cache/layer_cache.h"
#include "worker/cache/plain_keys.h"
#include "worker/cache/score_exchange.h"
#include "worker/cache/shared_selection.h"
#include "worker/policy/guided.h"

namespace varve {

class StageCache {
 public:
  struct Options {
    DType dtype = DType::kF16;             // of rows that are not in few bits
    std::vector<PolicyConfig> policies{};  // that a sequence may open with; empty: full alone
    std::vector<float> inv_freq{};         // rope_frequencies(model)
    std::size_t rows = 0;                  // most rows of a step
    std::size_t plain_slots = 0;  // common/plan's; 0: no policy evicts at compact positions
    std::vector<std::uint32_t> probe_rows{};  // of each probe of a step, at most
    ScoreExchange* exchange = nullptr;        // with the other stages; null: there are none
    AuditOrders audit{};
  };

  /// `model` and `ops` must outlive this.
  StageCache(const ModelConfig& model, LayerRange layers, Options options, Ops& ops);

  /// A kOpen step: a new sequence. With a parent, it shares what the parent holds, which is sealed
  /// by that: the parent takes no more rows.
  void open(const Step& step);
  /// Frees the sequence's own rows; those that others share stay until the last of them goes.
  void release(std::uint32_t sequence);

  /// Before the layers of a step of rows: the positions [T] by which its queries and keys are to be
  /// rotated. They are the rows' own unless the policy says that positions are compact.
  void begin(std::span<const SequenceRows> rows, std::span<std::int32_t> rotations);
  /// Appends the step's k, v [T, Hkv * D] of one layer to their sequences, then leaves in `out` the
  /// attention of q [T, Hq * D] over each row's sequence: its segments folded from the oldest to
  /// its own, always in this order. `positions` [T]. k may be overwritten.
  void attend(std::size_t layer, std::span<const SequenceRows> rows,
              std::span<const std::int32_t> positions, ConstMatrix q, Matrix k, ConstMatrix v,
              const AttendParams& params, Partial out);
  /// After the layers of that step: evicts what streams and pools are due to evict.
  void settle(std::span<const SequenceRows> rows);

  /// What `compact` must know of every layer of the model: one float per layer of this stage, or
  /// nothing where each layer can decide for itself.
  std::vector<float> statistics(std::uint32_t sequence);
  /// A kCompact step: the document's rows of the sequence become an exact-sized copy of those that
  /// its policy keeps. `statistics` [layers of the model], or empty.
  void compact(std::uint32_t sequence, std::span<const float> statistics);

  /// A document that is being read, between two steps, for `load` after an `open` of the same.
  std::vector<std::byte> save(std::uint32_t sequence);
  /// PeerError if the bytes are of another document, policy or stage.
  void load(std::uint32_t sequence, std::span<const std::byte> bytes);

  const Ledger& ledger() const { return ledger_; }
  std::size_t sequences() const { return sequences_.size(); }
  /// By layer, the document's before the questions' own.
  std::vector<LayerReceipt> receipts() const;
  /// Of an audited run; else it is empty. A step is over when all of its rows are settled.
  AuditReport audit() const { return audit_ ? audit_->report() : AuditReport{}; }
  void end_step();

 private:
  enum class Growth { kGrow, kStream, kPool };
  struct Sequence {
    const CachePolicy* policy = nullptr;
    Growth growth = Growth::kGrow;
    bool is_document = true;
    bool plain_keys = false;        // own keys stand as before their rotation
    bool observes = false;          // its own queries; else it looks at its parent's
    bool local = false;             // each question keeps rows of its own (stage_questions.cc)
    std::uint32_t questions = 0;    // that will fork it
    std::uint32_t question = 0;     // which of its parent's it is
    std::size_t begin = 0;          // position of its first own row
    std::size_t document_rows = 0;  // as read: what budgets are a share of
    std::size_t capacity = 0;       // own rows that it will see
    std::size_t prompt_rows = 0;    // the first of them
    std::size_t seen = 0;           // own rows so far
    // [layers of the model], of a pool: the document's rows that it begins with.
    std::vector<std::uint32_t> inherited;
    std::vector<std::uint32_t> budgets;         // [layers of the model], of the document's rows
    std::optional<DecodeSchedule> schedule;     // kPool
    std::unique_ptr<OwnScores> own_scores;      // where no other stage's count
    std::unique_ptr<SharedSelection> together;  // of a stream whose layers keep the same rows
    bool probed = false;                        // since its last selection
    std::vector<LayerCache> layers;             // [local layers]
  };

  /// A step's queries in one layer, and what comes of them.
  struct Attending {
    std::span<const std::int32_t> positions;  // [T]
    ConstMatrix q;                            // [T, Hq * D]
    Partial out;
    std::size_t probes = 0;  // of the step, before those of the sequence at hand
    ObservedRows rows(std::size_t at, std::size_t count) const {
      return {{q.row(at), count, q.cols, q.stride},
              out.lse.slice(at, count),
              positions.subspan(at, count),
              {}};
    }
  };

  Sequence& find(std::uint32_t sequence);
  Sequence make_sequence(const Step& step, const Sequence* parent) const;
  void open_layer(Sequence& fresh, std::size_t local, Sequence* parent);
  void set_budgets(Sequence& fresh, const Sequence* parent) const;
  void set_growth(Sequence& fresh, const Sequence* parent) const;
  void set_together(Sequence& fresh) const;
  RowRoom room_of(const Sequence& sequence, std::size_t local) const;
  std::shared_ptr<TrackedObserved> open_observed(const Sequence& fresh, std::size_t local,
                                                 const Sequence* parent);
  void observe(Sequence& sequence, std::size_t local, const ObservedRows& rows);
  std::size_t held(const Sequence& sequence) const;
  std::size_t next_rotation(const Sequence& sequence, std::size_t local) const;

  void append(Sequence& sequence, std::size_t local, const SequenceRows& rows, std::size_t at,
              std::span<const std::int32_t> positions, Matrix k, ConstMatrix v);
  void append_all(std::size_t local, std::span<const SequenceRows> rows,
                  std::span<const std::int32_t> positions, Matrix k, ConstMatrix v);
  void collect_items(std::size_t local, std::span<const SequenceRows> rows);
  void finish_rows(std::size_t local, std::span<const SequenceRows> rows, std::size_t at,
                   const Attending& step);
  std::span<const SegmentView> views(const Sequence& sequence, std::size_t local);
  void keep_probe(std::size_t probe, const SequenceRows& rows, std::size_t at,
                  std::span<const std::int32_t> positions, ConstMatrix k, ConstMatrix v);
  void attend_probes(Sequence& sequence, std::size_t local, std::span<const SequenceRows> rows,
                     std::size_t at, const Attending& step);

  void open_probed(Sequence& fresh, std::size_t local);
  void open_questions(Sequence& fresh, std::size_t local, std::size_t probed);
  SegmentView turned(const Sequence& sequence, const SegmentView& rows, std::size_t slot);
  void attend_question_probes(Sequence& sequence, std::size_t local,
                              std::span<const SequenceRows> rows, std::size_t at,
                              const Attending& step);
  void note_question_probes(Sequence& sequence, std::size_t local,
                            std::span<const SequenceRows> rows, std::size_t at,
                            const Attending& step, const SegmentView& rest);
  bool votes(const Sequence& sequence, std::size_t local) const;
  static double contrast_of(const Sequence& sequence);
  void take_off_others(LayerCache& cache, std::size_t kept, double contrast) const;
  void evict_for_questions(Sequence& sequence);
  KeptRows choose_for_question(const Sequence& sequence, std::size_t local,
                               std::size_t question) const;
  KeptRows choose_for_question(const Sequence& sequence, std::size_t question) const;
  KeptRows best_for_question(const Sequence& sequence, std::size_t local, std::size_t question,
                             std::vector<float> scores, std::size_t heads) const;
  void keep_for_question(const Sequence& sequence, std::size_t local, const KeptRows& kept,
                         QuestionCache& question);
  void compact_for_questions(std::uint32_t id, Sequence& sequence, std::size_t local);

  bool is_due(const Sequence& sequence) const;
  void evict(Sequence& sequence);
  void evict_from_stream(Sequence& sequence, std::size_t local);
  struct ProbedSums {
    std::vector<std::int64_t> sums;       // [rows held]
    std::vector<std::int32_t> positions;  // of the same rows
  };
  ProbedSums probed_sums(const Sequence& sequence) const;
  /// On the host.
  std::vector<std::int32_t> positions_of(const SegmentView& rows, std::size_t head) const;
  void keep_together(Sequence& sequence, const std::optional<std::vector<std::uint32_t>>& kept);
  void evict_from_pool(Sequence& sequence, std::size_t local);
  std::span<const SegmentView> region(const Sequence& sequence, std::size_t local, bool turned);
  Compactor::Turn turn_of(const Sequence& sequence);
  void keep_observed(Sequence& sequence, std::size_t local, const KeptRows& kept);
  void move_own(const Sequence& sequence, std::size_t local);
  void compact_layer(std::uint32_t id, Sequence& sequence, std::size_t local);
  ConstMatrix probed_of(const LayerCache& cache) const;
  LayerRows layer_rows(const Sequence& sequence, std::size_t local,
                       std::span<const SegmentView> region) const;
  Keep keep_of(const Sequence& sequence, std::size_t local) const;

  using Shared = std::vector<std::shared_ptr<const Segment>>;
  std::uint64_t hash_positions(const Shared& segments, std::uint64_t hash) const;
  void note_compaction(const Sequence& sequence, std::size_t local, const Shared& kept,
                       std::uint64_t id);
  void note_end(std::uint32_t id, const Sequence& sequence);
  void audit_answer(std::uint32_t id, const Sequence& sequence, std::size_t local,
                    const ObservedRows& row);
  void audit_kept(std::uint32_t id, const Sequence& sequence, std::size_t local);
  std::size_t model_layer(std::size_t local) const { return layers_.begin + local; }

  const ModelConfig& model_;
  LayerRange layers_;
  Options options_;
  Ops& ops_;
  Ledger ledger_;
  std::vector<std::unique_ptr<CachePolicy>> policies_;
  ObservedNeeds needs_;               // of a whole document, by any of them
  std::unique_ptr<PlainKeys> plain_;  // where some policy needs it
  Compactor compactor_;
  std::vector<std::unique_ptr<Segment>> probes_;  // rows of the probes of a step, in one layer
  AttendParams params_{};                         // of the layers
  std::map<std::uint32_t, Sequence> sequences_;
  std::map<std::pair<std::uint32_t, bool>, LayerReceipt> receipts_;  // by layer; false: document
  std::unique_ptr<Audit> audit_;                                     // null: no audit

  // Reused from layer to layer.
  std::vector<AttendItem> items_;
  std::vector<SegmentView> views_;
  std::vector<HeadRows> pool_heads_;
};

}  // namespace varve
