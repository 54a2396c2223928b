// Two ranks that end badly in the way that the argument names; for mpi_end_test.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>

#include "worker/comm/mpi_communicator.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

void say(std::string_view text) {
  fmt::print("[{}]\n", text);
  std::fflush(stdout);
}

template <class Call>
void say_error(Call call) {
  try {
    call();
    say("no error");
  } catch (const PeerError& error) {
    say(error.what());
  }
}

/// What the other rank does meanwhile: it waits, far longer than a test may last.
void wait_forever(Communicator& c) {
  c.recv_message(1 - c.rank(), Tag::kTest, {10min, "the end of the test"});
}

void abort_in_one_rank(Communicator& c) {
  if (c.rank() == 0) wait_forever(c);
  MpiSession::hard_abort(ExitCode::kRankLost);
}

/// From another thread, while the main thread is busy with MPI.
void abort_from_a_thread(Communicator& c) {
  if (c.rank() == 0) wait_forever(c);
  const std::jthread other([] {
    std::this_thread::sleep_for(100ms);
    MpiSession::hard_abort(ExitCode::kRankLost);
  });
  wait_forever(c);
}

void one_rank_does_not_finish(MpiSession& session, Communicator& c) {
  if (c.rank() == 1) wait_forever(c);
  say_error([&] { session.finalize(300ms); });
  say_error([&] { c.arrived(1, Tag::kTest); });
  MpiSession::hard_abort(ExitCode::kRankLost);
}

void one_rank_is_killed(Communicator& c) {
  if (c.rank() == 1) std::raise(SIGKILL);
  say_error([&] { c.recv_message(1, Tag::kTokens, {300ms, "a token"}); });
  MpiSession::hard_abort(ExitCode::kRankLost);
}

/// Leaves a send under way and ends without MPI_Finalize: main returns, destructors run.
void a_send_is_left(MpiSession& session, std::unique_ptr<Communicator> c) {
  if (c->rank() == 1) wait_forever(*c);
  const std::vector<std::byte> bytes(5 << 20);
  const PendingSend send = c->send(bytes, 1, Tag::kActivations);
  say_error([&] { c->wait(send, {100ms, "step 1"}); });
  c.reset();
  say_error([&] { session.communicator(1s); });
}

int run(std::string_view mode) {
  MpiSession session;
  auto c = session.communicator(20s);
  if (mode == "abort") abort_in_one_rank(*c);
  if (mode == "abort_from_thread") abort_from_a_thread(*c);
  if (mode == "finish") one_rank_does_not_finish(session, *c);
  if (mode == "kill") one_rank_is_killed(*c);
  if (mode == "send") a_send_is_left(session, std::move(c));
  return static_cast<int>(ExitCode::kRankLost);
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  return varve::run(argc > 1 ? argv[1] : "");
}
