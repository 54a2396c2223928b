// What each rank tells rank 0 at the end of a run: the bytes that it held by the lines of the plan,
// where its time went, and what it sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

struct RankReport {
  std::uint32_t rank = 0;
  std::string host;
  std::string backend;                      // as the backend describes itself
  std::vector<std::uint32_t> pinned_cores;  // thread t is kept on entry t; empty: on none
  LayerRange layers;
  Footprint bytes;  // counted where they were allocated; kv at its peak
  PhaseReport prefill;
  PhaseReport decode;
  std::vector<TrafficReport> traffic;     // sent by this rank
  std::uint64_t peak_resident_bytes = 0;  // of the process; 0: unknown
};
template <class A>
void visit(A& a, RankReport& r) {
  a(r.rank, r.host, r.backend, r.pinned_cores, r.layers.begin, r.layers.end);
  a(r.bytes.weights, r.bytes.kv, r.bytes.workspace, r.bytes.channel);
  a(r.prefill, r.decode, r.traffic, r.peak_resident_bytes);
}

}  // namespace varve
