#include "coordinator/cli/rank.h"

#include <fmt/format.h>

#include "common/host_name.h"
#include "worker/comm/gather_values.h"
#include "worker/service/machine.h"
#include "worker/service/rank_threads.h"
#include "worker/service/worker.h"

namespace varve {
namespace {

using std::chrono::milliseconds;

// Rank 0 only reads two small files before. Should it be stopped there, its supervisor ends it.
constexpr milliseconds kBootstrapLimit = std::chrono::minutes(10);
// Rank 0 reads and tokenizes the document meanwhile, and the control plane watches over it.
constexpr milliseconds kOrdersLimit = std::chrono::hours(24);
constexpr milliseconds kGoodbyeLimit = std::chrono::seconds(10);

RankReport rank_report(const Worker& worker, Communicator& comm, const Orders& orders,
                       const std::string& host) {
  const StageTimes times = worker.times();
  RankReport report;
  report.rank = static_cast<std::uint32_t>(comm.rank());
  report.host = host;
  report.backend = worker.backend();
  report.pinned_cores = worker.pinned_cores();
  report.layers = orders.stages[report.rank];
  report.bytes = worker.bytes();
  report.prefill = times.prefill;
  report.decode = times.decode;
  report.receipts = worker.receipts();
  report.audit = worker.audit();
  report.peak_resident_bytes = peak_resident_bytes();
  report.activations = worker.row_transport();
  const Traffic traffic = worker.traffic();
  for (std::size_t i = 0; i < traffic.by_tag.size(); ++i) {
    const Traffic::Count& count = traffic.by_tag[i];
    if (count.messages == 0) continue;
    report.traffic.push_back(
        {std::string(tag_name(static_cast<Tag>(i))), count.bytes, count.messages});
  }
  return report;
}

StageHooks hooks_for(ControlClient& client) {
  StageHooks hooks;
  hooks.on_activity = [&client](ActivityKind kind, std::uint64_t step, int peer) {
    client.set_activity(kind, step, static_cast<std::uint32_t>(peer));
  };
  hooks.on_step_done = [&client](const StageTimes& t, std::size_t kv_bytes) {
    client.set_status({.rows_done = t.prefill.rows + t.decode.rows,
                       .busy_ns = t.prefill.busy_ns + t.decode.busy_ns,
                       .elapsed_ns = t.prefill.elapsed_ns + t.decode.elapsed_ns,
                       .kv_bytes = kv_bytes});
  };
  return hooks;
}

RankEnd run_other_rank(Communicator& comm, const RankContext& context) {
  std::vector<std::byte> bytes;
  comm.broadcast(bytes, 0, Tag::kBootstrap, {kBootstrapLimit, "where the control server is"});
  const auto bootstrap = from_bytes<Bootstrap>(bytes, "bootstrap");
  if (bootstrap.code != 0) return {bootstrap.code, true};
  RankPart part;
  part.joined = [&](ControlClient& client) {
    context.end.set_client(&client);
    if (context.supervisor != nullptr) context.supervisor->set_watched();
  };
  part.run = [&](ControlClient& client, const std::string& host) {
    client.announce(ActivityKind::kWaitingOrders);
    survey_machines(comm, host, {milliseconds(bootstrap.start_deadline_ms), "rank 0 to hear it"});
    comm.broadcast(bytes, 0, Tag::kOrders, {kOrdersLimit, "the job from rank 0"});
    const auto assignment = from_bytes<Assignment>(bytes, "orders");
    if (assignment.code != 0) return assignment.code;
    live(assignment.orders, milliseconds(bootstrap.start_deadline_ms), comm, client, host, nullptr);
    return 0;
  };
  return with_client(bootstrap, comm, context, part);
}

}  // namespace

void live(const Orders& orders, milliseconds start_deadline, Communicator& comm,
          ControlClient& client, const std::string& host, Task* task) {
  client.announce(ActivityKind::kLoading);
  const RankThreads threads =
      agree_on_threads(orders, comm, host, {start_deadline, "the ranks to meet"});
  Worker worker(orders, comm, threads);
  const milliseconds step_deadline(orders.step_deadline_ms);
  comm.gather({}, 0, Tag::kPlan, {step_deadline, "every rank to load its layers"});
  worker.run(task != nullptr ? &task->begin() : nullptr, hooks_for(client));
  client.announce(ActivityKind::kReporting);
  const std::vector<RankReport> reports =
      gather_values(comm, rank_report(worker, comm, orders, host), 0, Tag::kReport,
                    {step_deadline, "every rank's report"}, "report");
  if (task != nullptr) task->finish(reports);
}

RankEnd with_client(const Bootstrap& bootstrap, Communicator& comm, const RankContext& context,
                    const RankPart& part) {
  const std::string host = host_name();
  ControlClient client({.addresses = bootstrap.addresses,
                        .token = bootstrap.token,
                        .rank = comm.rank(),
                        .host = host,
                        .start_deadline = milliseconds(bootstrap.start_deadline_ms),
                        .on_abort = [&](const AbortNotice& n) { context.end.on_abort(n, comm); }});
  RankEnd end;
  try {
    part.joined(client);
    end = {part.run(client, host), true};
    if (context.supervisor != nullptr) context.supervisor->set_leaving();
    client.goodbye(kGoodbyeLimit);
  } catch (const Error& e) {
    end = {static_cast<int>(e.code()), false};
    client.fail(e.code(), e.what());
  } catch (const std::exception& e) {
    end = {static_cast<int>(ExitCode::kOther), false};
    client.fail(ExitCode::kOther, fmt::format("internal error: {}", e.what()));
  }
  context.end.set_client(nullptr);
  if (const auto notice = context.end.notice()) end = {static_cast<int>(notice->code), false};
  return end;
}

RankEnd run_rank(Communicator& comm, const RankContext& context) {
  return comm.rank() == 0 ? run_first_rank(comm, context) : run_other_rank(comm, context);
}

}  // namespace varve
