// What rank 0 tells the others before the first step: where the control server is, as early as it
// can, and then what to run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/dtype.h"
#include "common/plan/audit.h"
#include "common/plan/footprint.h"
#include "common/plan/row_path.h"
#include "common/policy/policy_config.h"
#include "common/wire/archive.h"

namespace varve {

template <class A>
void visit(A& a, LayerRange& r) {
  a(r.begin, r.end);
}

/// The job as a worker sees it: the same for all ranks.
struct Orders {
  std::string model;                     // path, the same on every host
  std::string backend;                   // make_ops
  std::uint32_t threads = 0;             // per rank; 0: this host's cores, shared among its ranks
  bool pin_threads = true;               // as the cluster file's
  std::vector<std::uint32_t> devices{};  // by rank, of a cuda backend
  RowPath row_path = RowPath::kHost;     // of activations
  bool device_graphs = true;             // as the cluster file has it
  std::vector<LayerRange> stages;        // by rank
  std::uint64_t rows = 0;                // most rows of a step
  std::uint64_t samples = 0;             // most rows of a step that yield a token
  std::uint64_t in_flight = 1;           // most steps under way on a boundary
  DType kv_dtype = DType::kF16;
  std::vector<PolicyConfig> policies = {PolicyConfig{}};  // that sequences may open with
  std::uint64_t plain_slots = 0;                          // common/plan's, of those policies
  std::vector<std::uint32_t> probe_rows{};                // of each probe of a step
  AuditOrders audit{};                                    // off
  std::uint64_t step_deadline_ms = 0;                     // of every wait for another rank's step
};
template <class A>
void visit(A& a, Orders& o) {
  a(o.model, o.backend, o.threads, o.pin_threads, o.devices, o.row_path, o.device_graphs, o.stages,
    o.rows, o.samples, o.in_flight, o.kv_dtype, o.policies, o.plain_slots, o.probe_rows, o.audit,
    o.step_deadline_ms);
}

/// The first message of a run, rank 0 -> all. If rank 0 could not start (a bad file), `code` is its
/// exit code and everybody ends with it; rank 0 has said why.
struct Bootstrap {
  std::int32_t code = 0;
  std::vector<std::string> addresses;  // of the control server
  std::string token;
  std::uint32_t start_deadline_ms = 0;
};
template <class A>
void visit(A& a, Bootstrap& b) {
  a(b.code, b.addresses, b.token, b.start_deadline_ms);
}

/// The second, once the document is read and the plan stands. `code` as above (no document, a plan
/// that does not fit).
struct Assignment {
  std::int32_t code = 0;
  Orders orders;
};
template <class A>
void visit(A& a, Assignment& x) {
  a(x.code, x.orders);
}

}  // namespace varve
