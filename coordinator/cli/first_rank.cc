// Rank 0: opens the control server, prepares the task, hands out the orders, and sees the run
// through.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "common/cores.h"
#include "common/host_name.h"
#include "coordinator/cli/rank.h"
#include "coordinator/cli/run_record.h"
#include "coordinator/fleet/token.h"
#include "coordinator/jobs/verdict_file.h"

namespace varve {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFarewellLimit = std::chrono::seconds(10);

// Says a verdict to people, and to a file once the task has named one.
class Herald {
 public:
  void keep_in(const std::filesystem::path& file) {
    const std::lock_guard lock(mutex_);
    file_ = file;
  }
  void say(const Verdict& verdict) const {
    const VerdictRecord record{.code = verdict.code,
                               .rank = verdict.rank,
                               .host = verdict.host,
                               .text = verdict.text,
                               .time = utc_now()};
    if (!verdict.said) std::fprintf(stderr, "\n%s\n", verdict_line(record).c_str());
    const std::lock_guard lock(mutex_);
    if (file_) write_verdict(*file_, record);
  }

 private:
  mutable std::mutex mutex_;
  std::optional<std::filesystem::path> file_;
};

ControlServer::Options server_options(const ClusterConfig& cluster, int ranks,
                                      const Herald& herald) {
  ControlServer::Options options;
  options.ranks = ranks;
  options.token = make_launch_token();
  options.host = host_name();
  options.bind = cluster.control.interface;
  options.port = cluster.control.port;
  options.deadlines = {cluster.deadlines.start, cluster.deadlines.peer, cluster.deadlines.step};
  options.on_verdict = [&herald](const Verdict& v) { herald.say(v); };
  options.log = [](const std::string& line) { std::fprintf(stderr, "varve: %s\n", line.c_str()); };
  return options;
}

// Ranks on this host as far as the launcher says; else all of them. Slurm names the tasks of every
// node, "2(x3),1", and begins with rank 0's.
std::size_t local_ranks(std::size_t ranks) {
  for (const char* variable :
       {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_TASKS_PER_NODE"}) {
    const char* value = std::getenv(variable);
    if (value == nullptr) continue;
    const std::string_view text(value);
    std::size_t local = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), local);
    if (parsed.ec == std::errc() && local >= 1 && local <= ranks) return local;
  }
  return ranks;
}

// mpirun pins each of two ranks to one core unless told otherwise, and nobody would see why a run
// is slow.
void note_binding(const ClusterConfig& cluster, std::size_t local_ranks) {
  const std::size_t share = std::max<std::size_t>(machine_cores() / local_ranks, 1);
  if (cluster.threads || usable_cores() >= share) return;
  std::fprintf(
      stderr,
      "varve: rank 0 is bound to %zu of %zu cores; with mpirun --bind-to none it would use %zu\n",
      usable_cores(), machine_cores(), share);
}

// Runs `part`. What it throws is a mistake of the user, said here and now; the code, or 0.
int saying_errors(const std::function<void()>& part) {
  try {
    part();
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "varve: %s\n", e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "varve: internal error: %s\n", e.what());
    return static_cast<int>(ExitCode::kOther);
  }
}

template <class Message>
void tell_all(Communicator& comm, const Message& message, Tag tag, Waiting waiting) {
  std::vector<std::byte> bytes = to_bytes(message);
  comm.broadcast(bytes, 0, tag, waiting);
}

class Coordinator {
 public:
  Coordinator(Communicator& comm, const RankContext& context) : comm_(comm), context_(context) {}

  RankEnd run() {
    Bootstrap bootstrap;
    bootstrap.code = saying_errors([&] { bootstrap = open(); });
    if (bootstrap.code != 0) {
      tell_all(comm_, bootstrap, Tag::kBootstrap,
               {kFarewellLimit, "the ranks to hear of an error"});
      return {bootstrap.code, true};
    }
    RankPart part;
    part.joined = [&](ControlClient&) { gather_fleet(bootstrap); };
    part.run = [&](ControlClient& client, const std::string& host) { return serve(client, host); };
    RankEnd end = with_client(bootstrap, comm_, context_, part);
    if (const auto verdict = server_->finish(kFarewellLimit)) {
      end = {static_cast<int>(verdict->code), false};
    }
    context_.end.set_server(nullptr);
    return end;
  }

 private:
  Bootstrap open() {
    task_ = &context_.task();
    ControlServer::Options options = server_options(task_->cluster(), comm_.size(), herald_);
    Bootstrap bootstrap;
    bootstrap.token = options.token;
    bootstrap.start_deadline_ms = static_cast<std::uint32_t>(options.deadlines.start.count());
    start_deadline_ = options.deadlines.start;
    server_.emplace(std::move(options));
    bootstrap.addresses = server_->addresses();
    return bootstrap;
  }

  void gather_fleet(const Bootstrap& bootstrap) {
    tell_all(comm_, bootstrap, Tag::kBootstrap,
             {start_deadline_, "the ranks to hear where the control server is"});
    // The verdict is out then, and reaches this rank like the others.
    if (!server_->wait_for_ranks()) throw PeerError("the run ended before every rank had arrived");
    context_.end.set_server(&*server_);
    if (context_.supervisor != nullptr) context_.supervisor->set_watched();
  }

  int serve(ControlClient& client, const std::string& host) {
    client.announce(ActivityKind::kPreparing);
    machines_ = survey_machines(comm_, host, {start_deadline_, "every rank to say what it has"});
    Assignment assignment;
    assignment.code = saying_errors([&] { assignment.orders = prepare(); });
    tell_all(comm_, assignment, Tag::kOrders, {start_deadline_, "the ranks to take the job"});
    if (assignment.code != 0) return assignment.code;
    live(assignment.orders, start_deadline_, comm_, client, host, task_);
    return 0;
  }

  Orders prepare() {
    const auto ranks = static_cast<std::size_t>(comm_.size());
    const std::size_t local = local_ranks(ranks);
    DeviceChoice devices = choose_devices(machines_, task_->cluster());
    if (!devices.note.empty()) std::fprintf(stderr, "varve: %s\n", devices.note.c_str());
    Orders orders = task_->prepare(
        {.site = {ranks, local, std::move(devices)},
         .keep_verdict = [this](const std::filesystem::path& file) { herald_.keep_in(file); },
         .status = [this] { return server_->status(); }});
    note_binding(task_->cluster(), local);
    return orders;
  }

  Communicator& comm_;
  const RankContext& context_;
  Herald herald_;
  Task* task_ = nullptr;
  std::vector<RankMachine> machines_;  // by rank
  milliseconds start_deadline_{0};
  std::optional<ControlServer> server_;  // its thread uses the herald
};

}  // namespace

RankEnd run_first_rank(Communicator& comm, const RankContext& context) {
  return Coordinator(comm, context).run();
}

}  // namespace varve
