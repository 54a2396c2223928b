#include "coordinator/cli/rank.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "common/host_name.h"
#include "common/plan/report.h"
#include "common/wire/orders.h"
#include "coordinator/cli/conductor.h"
#include "coordinator/cli/run_record.h"
#include "coordinator/fleet/token.h"
#include "coordinator/jobs/verdict_file.h"
#include "worker/comm/placement.h"
#include "worker/service/worker.h"

namespace varve {
namespace {

using std::chrono::milliseconds;

// Rank 0 reads and tokenizes the document meanwhile; if it dies, the launcher ends the others.
constexpr milliseconds kBootstrapLimit = std::chrono::minutes(10);
constexpr milliseconds kGoodbyeLimit = std::chrono::seconds(10);

RankReport rank_report(const Worker& worker, Communicator& comm, const Orders& orders,
                       const std::string& host) {
  const StageTimes times = worker.times();
  RankReport report;
  report.rank = static_cast<std::uint32_t>(comm.rank());
  report.host = host;
  report.backend = worker.backend();
  report.layers = orders.stages[report.rank];
  report.bytes = worker.bytes();
  report.prefill = times.prefill;
  report.decode = times.decode;
  report.peak_resident_bytes = peak_resident_bytes();
  const Traffic traffic = comm.traffic();
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

// A rank's life between bootstrap and report. Rank 0's coordinator takes part through the hooks.
struct CoordinatorHooks {
  std::function<StepSource*()> on_ready;                        // every rank has loaded
  std::function<void(const std::vector<RankReport>&)> on_done;  // every rank has reported
};

void live(const Bootstrap& bootstrap, Communicator& comm, ControlClient& client,
          const std::string& host, CoordinatorHooks* coordinator) {
  const Orders& orders = bootstrap.orders;
  const Waiting start{milliseconds(bootstrap.start_deadline_ms), "the ranks to meet"};
  const Placement place =
      exchange_placement(comm, host, start)[static_cast<std::size_t>(comm.rank())];
  client.set_activity(ActivityKind::kLoading);
  Worker worker(orders, comm, static_cast<std::size_t>(place.local_size));
  const milliseconds step_deadline(orders.step_deadline_ms);
  comm.gather({}, 0, Tag::kPlan, {step_deadline, "every rank to load its layers"});
  worker.run(coordinator != nullptr ? coordinator->on_ready() : nullptr, hooks_for(client));
  client.set_activity(ActivityKind::kReporting);
  const auto reports = comm.gather(to_bytes(rank_report(worker, comm, orders, host)), 0,
                                   Tag::kReport, {step_deadline, "every rank's report"});
  if (coordinator == nullptr) return;
  std::vector<RankReport> all;
  for (const auto& bytes : reports) all.push_back(from_bytes<RankReport>(bytes, "report"));
  coordinator->on_done(all);
}

// Runs `part` with a client of the control plane; whatever it throws becomes a verdict.
int with_client(const Bootstrap& bootstrap, Communicator& comm, ProcessEnd& end, bool owns_signals,
                const std::function<void(ControlClient&, const std::string&)>& part) {
  const std::string host = host_name();
  ControlClient client({.addresses = bootstrap.addresses,
                        .token = bootstrap.token,
                        .rank = comm.rank(),
                        .host = host,
                        .start_deadline = milliseconds(bootstrap.start_deadline_ms),
                        .on_abort = [&](const AbortNotice& n) { end.on_abort(n, comm); }});
  if (owns_signals) end.set_client(&client);
  ExitCode code = ExitCode::kDone;
  try {
    part(client, host);
    client.goodbye(kGoodbyeLimit);
  } catch (const Error& e) {
    code = e.code();
    client.fail(code, e.what());
  } catch (const std::exception& e) {
    code = ExitCode::kOther;
    client.fail(code, fmt::format("internal error: {}", e.what()));
  }
  if (owns_signals) end.set_client(nullptr);
  if (const auto notice = end.notice()) code = notice->code;
  return static_cast<int>(code);
}

void say_verdict(const Verdict& verdict, const OutputPaths& paths) {
  const VerdictRecord record{.code = verdict.code,
                             .rank = verdict.rank,
                             .host = verdict.host,
                             .text = verdict.text,
                             .time = utc_now()};
  std::fprintf(stderr, "\n%s\n", verdict_line(record).c_str());
  std::fflush(stderr);
  write_verdict(paths.verdict, record);
}

ControlServer::Options server_options(const ClusterConfig& cluster, int ranks,
                                      const OutputPaths& paths) {
  ControlServer::Options options;
  options.ranks = ranks;
  options.token = make_launch_token();
  options.host = host_name();
  options.bind = cluster.control.interface;
  options.port = cluster.control.port;
  options.deadlines = {cluster.deadlines.start, cluster.deadlines.peer, cluster.deadlines.step};
  options.on_verdict = [paths](const Verdict& v) { say_verdict(v, paths); };
  options.log = [](const std::string& line) { std::fprintf(stderr, "varve: %s\n", line.c_str()); };
  return options;
}

Orders make_orders(const PreparedJob& prepared, const Plan& plan) {
  const ClusterConfig& cluster = prepared.cluster;
  return {.model = prepared.job.model.string(),
          .backend = std::string(to_string(cluster.backend)),
          .threads = cluster.threads.value_or(0),
          .stages = plan.stages(),
          .rows = plan.shape.chunk,
          .samples = std::min(plan.shape.chunk, plan.shape.parallel),
          .in_flight = plan.shape.in_flight,
          .kv_dtype = plan.shape.kv_dtype,
          .step_deadline_ms = static_cast<std::uint64_t>(cluster.deadlines.step.count())};
}

// Rank 0 once the plan stands: opens the control server, tells the others, and sees the run
// through.
int coordinate(Communicator& comm, ProcessEnd& end, const PreparedJob& prepared, const Plan& plan,
               const OutputPaths& paths, RunRecord& record) {
  ControlServer::Options options = server_options(prepared.cluster, comm.size(), paths);
  Bootstrap bootstrap{
      .code = 0,
      .addresses = {},
      .token = options.token,
      .start_deadline_ms = static_cast<std::uint32_t>(prepared.cluster.deadlines.start.count()),
      .orders = make_orders(prepared, plan)};
  ControlServer server(std::move(options));
  bootstrap.addresses = server.addresses();
  std::vector<std::byte> bytes = to_bytes(bootstrap);
  comm.broadcast(bytes, 0, Tag::kBootstrap, {kBootstrapLimit, "the ranks to take the job"});
  end.set_server(&server);

  std::optional<Conductor> conductor;
  std::optional<Batcher> batcher;
  CoordinatorHooks hooks;
  hooks.on_ready = [&] {
    record.loaded();
    conductor.emplace(prepared, paths, [&server] { return busy_shares(server.status()); });
    batcher.emplace(batch_job(prepared, plan), *conductor);
    return &*batcher;
  };
  hooks.on_done = [&](const std::vector<RankReport>& reports) {
    conductor->end_progress();
    record.finish(*conductor, reports);
  };
  int code =
      with_client(bootstrap, comm, end, false, [&](ControlClient& client, const std::string& host) {
        live(bootstrap, comm, client, host, &hooks);
      });
  if (const auto verdict = server.finish(kGoodbyeLimit)) code = static_cast<int>(verdict->code);
  end.set_server(nullptr);
  return code;
}

// Ranks on this host as far as the launcher says; else all of them.
std::size_t local_ranks(std::size_t ranks) {
  for (const char* variable : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}) {
    const char* value = std::getenv(variable);
    if (value == nullptr) continue;
    const std::string_view text(value);
    std::size_t local = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), local);
    if (parsed.ec == std::errc() && local >= 1 && local <= ranks) return local;
  }
  return ranks;
}

int run_first_rank(Communicator& comm, const std::function<PreparedJob()>& prepare,
                   ProcessEnd& end) {
  const auto refuse = [&comm](ExitCode code, const char* why) {
    std::fprintf(stderr, "varve: %s\n", why);
    std::vector<std::byte> bytes = to_bytes(Bootstrap{.code = static_cast<std::int32_t>(code),
                                                      .addresses = {},
                                                      .token = {},
                                                      .start_deadline_ms = 0,
                                                      .orders = {}});
    comm.broadcast(bytes, 0, Tag::kBootstrap, {kBootstrapLimit, "the ranks to hear of an error"});
    return static_cast<int>(code);
  };
  std::optional<PreparedJob> prepared;
  Plan plan;
  OutputPaths paths;
  try {
    prepared.emplace(prepare());
    const auto ranks = static_cast<std::size_t>(comm.size());
    plan = plan_job(*prepared, ranks, local_ranks(ranks));
    paths = prepare_output_dir(prepared->job.output_dir, prepared->job.overwrite);
  } catch (const Error& e) {
    return refuse(e.code(), e.what());
  } catch (const std::exception& e) {
    return refuse(ExitCode::kOther, fmt::format("internal error: {}", e.what()).c_str());
  }
  std::fputs(print_plan(plan).c_str(), stderr);
  RunRecord record(*prepared, plan, paths);
  return coordinate(comm, end, *prepared, plan, paths, record);
}

}  // namespace

int run_rank(Communicator& comm, const std::function<PreparedJob()>& prepare, ProcessEnd& end) {
  if (comm.rank() == 0) return run_first_rank(comm, prepare, end);
  std::vector<std::byte> bytes;
  comm.broadcast(bytes, 0, Tag::kBootstrap, {kBootstrapLimit, "the job from rank 0"});
  const auto bootstrap = from_bytes<Bootstrap>(bytes, "bootstrap");
  if (bootstrap.code != 0) return bootstrap.code;
  return with_client(bootstrap, comm, end, true,
                     [&](ControlClient& client, const std::string& host) {
                       live(bootstrap, comm, client, host, nullptr);
                     });
}

}  // namespace varve
