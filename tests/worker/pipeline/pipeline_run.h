// Runs a job through the whole pipeline, batcher and stages, and keeps every logit of every sampled
// row, so that two ways of running it can be compared bit by bit.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/plan/footprint.h"
#include "common/plan/report.h"
#include "common/wire/orders.h"
#include "coordinator/schedule/batcher.h"
#include "worker/comm/thread_communicator.h"

namespace varve {

/// VARVE_TEST_BACKEND, or cpu.
std::string tested_backend();

struct PipelineCase {
  std::string model;
  std::string backend = tested_backend();
  std::size_t layers = 5;
  std::uint32_t chunk = 64;
  std::uint64_t in_flight = 2;
  std::size_t threads = 1;
  std::vector<std::size_t> questions;  // which of the eight
  std::uint32_t prefix_rows = 150;
  std::vector<std::int32_t> prefix{};  // of so many tokens; empty: random ones
  std::uint32_t vocab = 97;
  std::uint32_t answer_tokens = 6;
  std::uint32_t parallel = 8;  // most questions open at a time
  DType kv_dtype = DType::kF16;
  PolicyConfig policy{};
  std::size_t plain_slots = 2048;  // where positions are compact
  /// Lengths. Where each question keeps rows of its own, question q has number q modulo how many
  /// there are, and no others ride.
  std::vector<std::size_t> probes{};
  std::uint32_t save_every = 0;  // rows of the prefix
  std::uint32_t saved_rows = 0;  // that `saved`, by rank, holds
  std::vector<std::vector<std::byte>> saved{};
  AuditOrders audit{};
  ThreadOptions transport{.check_sent_bytes = true};
};

/// Of a rank's caches.
struct HeldBytes {
  std::size_t peak = 0;
  std::vector<std::size_t> after;  // each step
};

struct Outcome {
  std::map<std::size_t, std::vector<std::int32_t>> tokens;  // rank 0: by question
  /// Last rank: logits by (question, position).
  std::map<std::pair<std::size_t, std::uint32_t>, std::vector<float>> logits;
  std::map<std::pair<std::uint32_t, bool>, LayerReceipt> receipts;  // by layer and `document`
  std::map<int, HeldBytes> held;                                    // by rank
  std::map<int, AuditReport> audits;                                // by rank
  std::vector<StepKind> steps;                                      // rank 0
  /// Rank 0: what was saved, by rows of the prefix.
  std::map<std::size_t, std::vector<std::vector<std::byte>>> saves;
};

/// The job as the planner sees it, and the layers of a rank.
JobShape shape_of(const PipelineCase& c);
LayerRange layers_of(const PipelineCase& c, std::size_t rank, std::size_t ranks);

std::vector<std::int32_t> prefix_of(const PipelineCase& c);
BatchJob make_job(const PipelineCase& c, int ranks);
Orders make_orders(const PipelineCase& c, std::size_t ranks);

/// What this rank saw. The model's layers are cut as evenly as they can be over comm.size() ranks.
Outcome run_pipeline(const PipelineCase& c, Communicator& comm);

/// The same on `ranks` threads: tokens of the first, logits of the last.
Outcome run_on_threads(const PipelineCase& c, int ranks);

/// Fails the test where `actual` differs from `whole` on the questions that it asked.
void expect_same(const Outcome& actual, const Outcome& whole, bool tokens, bool logits);

}  // namespace varve
