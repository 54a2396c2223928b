// One stage of the pipeline: takes steps, runs its layers, passes them on. Stage 0 takes them from
// the coordinator's source, later stages from their neighbour; the last one samples and sends
// tokens back to stage 0. No step waits for a barrier, and prefill has no feedback edge.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "common/plan/report.h"
#include "common/wire/control.h"
#include "common/wire/step.h"
#include "worker/cache/stage_cache.h"
#include "worker/comm/communicator.h"
#include "worker/model/sampler.h"
#include "worker/model/stage_model.h"
#include "worker/pipeline/channel.h"
#include "worker/pipeline/result_outbox.h"
#include "worker/pipeline/stage_scores.h"

namespace varve {

/// A step whose rows all sample is decode, every other prefill.
struct StageTimes {
  PhaseReport prefill;
  PhaseReport decode;
};

/// What others want to know of a running stage. Called from the stage's thread; must not block.
struct StageHooks {
  std::function<void(ActivityKind kind, std::uint64_t step, int peer)> on_activity;
  /// Last stage: logits [n, vocab] of a step's sampled rows, before they become tokens; on the
  /// host.
  std::function<void(const Step& step, ConstMatrix logits)> on_logits;
  /// After each step.
  std::function<void(const StageTimes& times, std::size_t kv_bytes)> on_step_done;
};

class Stage {
 public:
  struct Options {
    std::size_t rows = 0;       // most rows of a step
    std::size_t in_flight = 1;  // most steps under way to the next stage
    DType kv_dtype = DType::kF16;
    std::vector<PolicyConfig> policies = {PolicyConfig{}};  // that a sequence may open with
    std::size_t plain_slots = 0;                            // StageCache::Options
    std::vector<std::uint32_t> probe_rows{};                // the same
    AuditOrders audit{};                                    // the same
    std::chrono::milliseconds deadline{};                   // of every wait for another rank
  };

  /// How a stage reaches the others. Must outlive it.
  struct Links {
    Communicator& comm;
    RowTransport& rows;
  };

  /// `source` is given on stage 0 alone. All references must outlive this.
  Stage(StageModel& model, const Links& links, Ops& ops, const Options& options, StepSource* source,
        StageHooks hooks);

  /// Runs until a kStop step has passed through.
  void run();

  const StageTimes& times() const { return times_; }
  const Ledger& ledger() const { return cache_.ledger(); }
  std::vector<LayerReceipt> receipts() const { return cache_.receipts(); }
  AuditReport audit() const { return cache_.audit(); }
  std::size_t channel_bytes() const {
    return (outlet_ ? outlet_->buffer_bytes() : 0) + (inlet_ ? inlet_->buffer_bytes() : 0);
  }

 private:
  void open_links(RowTransport& rows);
  Step take();
  Step take_from_source();
  void receive_result();
  void apply(const Step& step);
  void run_rows(const Step& step);
  void compact(const Step& step);
  void save(const Step& step);
  void load(const Step& step);
  std::vector<float> share_statistics(const std::vector<float>& own, std::uint64_t step);
  void fill_positions(const Step& step);
  void fill_runs(const Step& step);
  /// A row whose logits are wanted, and the token that follows it if that is known.
  struct Wanted {
    std::size_t row;  // of the step
    std::uint32_t position;
    std::uint32_t sequence;
    std::optional<std::int32_t> target;
  };
  void list_wanted(const Step& step);
  void sample_rows(const Step& step);
  void show_logits(const Step& step, ConstMatrix logits);
  void sample_piece(const Step& step, std::span<const Wanted> wanted, StepResult& result);
  Sampled choose(const Wanted& wanted, const RowSummary& summary, const float* logits);
  void deliver(const StepResult& result);
  void record(const Step& step, std::chrono::steady_clock::time_point begin);
  void note(ActivityKind kind, std::uint64_t step, int peer) const;

  StageModel& model_;
  Communicator& comm_;
  Ops& ops_;
  Options options_;
  StepSource* source_;
  StageHooks hooks_;
  StageScores scores_;
  StageCache cache_;
  std::optional<Inlet> inlet_;                        // none on stage 0
  std::optional<Outlet> outlet_;                      // none on the last stage
  std::optional<ResultOutbox> results_;               // last stage, unless it is stage 0 too
  std::map<std::uint32_t, SamplingParams> sampling_;  // last stage: of the open sequences

  /// Of the open sequences without a parent: rows of the prompt, which is the document. Reading one
  /// is most of a run's work, and may use what the backend has for it (Products::kSplit). Whether a
  /// row does depends on its sequence and position alone.
  std::map<std::uint32_t, std::uint32_t> documents_;

  std::vector<RowRun> runs_;             // [T] in total, of the step at hand
  std::vector<std::int32_t> positions_;  // [T] of the step at hand, in the document
  std::vector<std::int32_t> rotations_;  // [T] the positions that its queries and keys turn by
  std::vector<Wanted> wanted_;           // of the step
  std::vector<std::size_t> logit_rows_;  // of a piece of them
  std::vector<RowSummary> summaries_;    // [rows of a piece]
  std::vector<float> logits_;            // one row [vocab] on the host

  std::uint64_t step_ = kNoStep;  // at hand

  StageTimes times_;
  std::uint64_t busy_ns_ = 0;
  std::uint64_t result_wait_ns_ = 0;
  // The totals at the end of the last step, to tell what the next one adds.
  std::uint64_t seen_busy_ns_ = 0;
  std::uint64_t seen_receive_ns_ = 0;
  std::uint64_t seen_send_ns_ = 0;
};

}  // namespace varve
