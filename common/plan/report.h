// What each rank tells rank 0 at the end of a run: the bytes that it held by the lines of the plan,
// where its time went, and what it sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/plan/audit.h"
#include "common/plan/footprint.h"

namespace varve {

/// Where the time of one phase went. elapsed = busy + the two waits + what is left (bookkeeping).
struct PhaseReport {
  std::uint64_t steps = 0;
  std::uint64_t rows = 0;
  std::uint64_t elapsed_ns = 0;
  std::uint64_t busy_ns = 0;     // computing
  std::uint64_t receive_ns = 0;  // waiting for a step or for tokens
  std::uint64_t send_ns = 0;     // waiting for room on the channel
};
template <class A>
void visit(A& a, PhaseReport& p) {
  a(p.steps, p.rows, p.elapsed_ns, p.busy_ns, p.receive_ns, p.send_ns);
}

struct TrafficReport {
  std::string purpose;  // the name of the messages' tag
  std::uint64_t bytes = 0;
  std::uint64_t messages = 0;
};
template <class A>
void visit(A& a, TrafficReport& t) {
  a(t.purpose, t.bytes, t.messages);
}

/// What a cache policy did to one layer: to the document (once, or over all questions' copies), or
/// to the questions' own rows.
struct LayerReceipt {
  std::uint32_t layer = 0;
  bool document = true;            // or: own rows of questions
  std::uint32_t sequences = 0;     // that the sums below are over
  std::uint64_t rows_seen = 0;     // per key head, summed over key heads
  std::uint64_t rows_kept = 0;     // the same, after the last compaction
  std::uint64_t bytes_before = 0;  // that the rows seen would take without a policy
  std::uint64_t bytes_after = 0;   // that the rows kept take
  std::uint64_t kept_hash = 0;     // of the positions kept, the same for every stage cut and chunk
};
template <class A>
void visit(A& a, LayerReceipt& r) {
  a(r.layer, r.document, r.sequences, r.rows_seen, r.rows_kept, r.bytes_before, r.bytes_after,
    r.kept_hash);
}

struct RankReport {
  std::uint32_t rank = 0;
  std::string host;
  std::string backend;                      // as the backend describes itself
  std::string activations;                  // by which way they come and go
  std::vector<std::uint32_t> pinned_cores;  // thread t is kept on entry t; empty: on none
  LayerRange layers;
  Footprint bytes;  // counted where they were allocated; kv at its peak
  PhaseReport prefill;
  PhaseReport decode;
  std::vector<LayerReceipt> receipts;     // of its layers; none without a policy
  AuditReport audit;                      // of an audited run
  std::vector<TrafficReport> traffic;     // sent by this rank
  std::uint64_t peak_resident_bytes = 0;  // of the process; 0: unknown
};
template <class A>
void visit(A& a, RankReport& r) {
  a(r.rank, r.host, r.backend, r.activations, r.pinned_cores, r.layers.begin, r.layers.end);
  a(r.bytes.weights, r.bytes.kv, r.bytes.workspace, r.bytes.channel);
  a(r.prefill, r.decode, r.receipts, r.audit, r.traffic, r.peak_resident_bytes);
}

}  // namespace varve
