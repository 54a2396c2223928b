#include "coordinator/fleet/control_server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "common/wire/frame_stream.h"
#include "coordinator/fleet/interfaces.h"
#include "coordinator/fleet/token.h"

namespace varve {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr std::size_t kStrangerPayload = 4096;
constexpr std::size_t kMaxQueuedFrames =
    64;  // to a rank that does not read; beats are skipped then
constexpr milliseconds kDrainLimit{1000};
constexpr milliseconds kFinishSlack{2000};
constexpr std::size_t kMaxLogBytes = 500;

milliseconds beat_interval(milliseconds peer_deadline) {
  return std::max(milliseconds(5), peer_deadline / 8);
}
milliseconds tick_interval(milliseconds peer_deadline) {
  return std::clamp(peer_deadline / 16, milliseconds(5), milliseconds(50));
}

// Throws boost::system::system_error.
tcp::acceptor listen_at(asio::io_context& io, const tcp::endpoint& endpoint, bool both_families) {
  tcp::acceptor acceptor(io);
  acceptor.open(endpoint.protocol());
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  if (both_families) acceptor.set_option(asio::ip::v6_only(false));
  acceptor.bind(endpoint);
  acceptor.listen();
  return acceptor;
}

bool no_ipv6_here(const error_code& ec) {
  return ec == asio::error::address_family_not_supported || ec == asio::error::no_protocol_option ||
         ec == boost::system::errc::address_not_available;
}

tcp::acceptor listen_everywhere(asio::io_context& io, std::uint16_t port) {
  try {
    return listen_at(io, {tcp::v6(), port}, true);
  } catch (const boost::system::system_error& e) {
    if (!no_ipv6_here(e.code())) throw;
  }
  return listen_at(io, {tcp::v4(), port}, false);
}

tcp::acceptor make_acceptor(asio::io_context& io, const std::string& where, std::uint16_t port) {
  const std::string address = resolve_bind_address(where);
  try {
    if (address.empty()) return listen_everywhere(io, port);
    return listen_at(io, {asio::ip::make_address(address), port}, false);
  } catch (const boost::system::system_error& e) {
    throw ConfigError(fmt::format("control server: cannot listen on {} port {}: {}",
                                  where.empty() ? "any interface," : where, port,
                                  e.code().message()));
  }
}

}  // namespace

// Everything but what `mutex_` guards belongs to the server's thread.
class ControlServer::Impl {
 public:
  explicit Impl(Options options);
  ~Impl();

  std::vector<std::string> addresses() const;
  std::uint16_t port() const { return local_.port(); }
  std::vector<RankStatus> status() const;
  bool wait_for_ranks();
  void interrupt(ExitCode code, const std::string& text);
  std::optional<Verdict> finish(milliseconds limit);

 private:
  struct Session {
    std::shared_ptr<FrameStream> stream;
    ControlTime accepted;
    int rank = -1;  // -1: a stranger
    bool refused = false;
    bool left = false;
    bool silent = false;  // lost though its connection stands: nothing to wait for
  };
  using Sessions = std::map<std::uint64_t, Session>;  // by number, that is in order of arrival

  void accept();
  void admit(tcp::socket socket);
  void make_room();
  void on_frame(std::uint64_t id, const Frame& frame);
  void greet(Session& session, const Frame& frame);
  void refuse(Session& session, const std::string& public_reason, const std::string& detail);
  void on_message(Session& session, const Frame& frame);
  void on_end(std::uint64_t id, const StreamEnd& end);
  void log_refused(const Session& session, const std::string& why);

  void tick();
  void expire_strangers(ControlTime now);
  void send_beats(ControlTime now);
  void conclude(const Verdict& verdict);
  void check_drained(ControlTime now);
  void log(const std::string& line);

  Options options_;
  milliseconds tick_;
  milliseconds interval_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  tcp::endpoint local_;
  asio::steady_timer timer_;
  Sessions sessions_;
  std::uint64_t next_id_ = 0;
  bool accept_at_tick_ = false;
  ControlTime next_beat_{};
  std::optional<ControlTime> drain_by_;  // set when the verdict is being sent

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  FleetWatch watch_;
  std::optional<Verdict> verdict_;
  bool verdict_sent_ = false;

  std::thread thread_;
};

ControlServer::Impl::Impl(Options options)
    : options_(std::move(options)),
      tick_(tick_interval(options_.deadlines.peer)),
      interval_(beat_interval(options_.deadlines.peer)),
      acceptor_(make_acceptor(io_, options_.bind, options_.port)),
      local_(acceptor_.local_endpoint()),
      timer_(io_),
      watch_(options_.ranks, options_.deadlines, options_.settle, tick_, ControlClock::now()) {
  VARVE_CHECK(!options_.token.empty(), "a control server without a token");
  if (options_.max_strangers == 0) {
    options_.max_strangers = 2 * static_cast<std::size_t>(options_.ranks) + 16;
  }
  accept();
  tick();
  thread_ = std::thread([this] { io_.run(); });
}

ControlServer::Impl::~Impl() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kDrainLimit, [&] { return !verdict_ || verdict_sent_; });
  }
  io_.stop();
  thread_.join();
}

std::vector<std::string> ControlServer::Impl::addresses() const {
  const auto bound = local_.address();
  if (!bound.is_unspecified()) return {to_text(local_)};
  std::vector<std::string> all;
  for (const InterfaceAddress& a : interface_addresses()) {
    if (a.ipv6 && bound.is_v4()) continue;
    all.push_back(to_text({asio::ip::make_address(a.address), port()}));
  }
  return all;
}

std::vector<RankStatus> ControlServer::Impl::status() const {
  const std::lock_guard lock(mutex_);
  return watch_.status(ControlClock::now());
}

bool ControlServer::Impl::wait_for_ranks() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return verdict_ || watch_.everyone_arrived(); });
  return !verdict_;
}

void ControlServer::Impl::interrupt(ExitCode code, const std::string& text) {
  const std::lock_guard lock(mutex_);
  watch_.interrupt(code, text, ControlClock::now());
}

std::optional<Verdict> ControlServer::Impl::finish(milliseconds limit) {
  const ControlTime by = ControlClock::now() + limit;
  std::unique_lock lock(mutex_);
  watch_.expect_goodbyes(by);
  const auto patience = kFinishSlack + options_.settle.cause + options_.settle.signal;
  changed_.wait_until(lock, by + patience,
                      [&] { return verdict_ ? verdict_sent_ : watch_.everyone_left(); });
  return verdict_;
}

// --- connections ---

void ControlServer::Impl::accept() {
  acceptor_.async_accept([this](const error_code& ec, tcp::socket socket) {
    if (!acceptor_.is_open()) return;
    if (ec) {
      log(fmt::format("control server: cannot take a connection: {}", ec.message()));
      accept_at_tick_ = true;  // not at once: out of file descriptors stays so for a while
      return;
    }
    admit(std::move(socket));
    accept();
  });
}

void ControlServer::Impl::admit(tcp::socket socket) {
  make_room();
  const std::uint64_t id = next_id_++;
  auto stream = std::make_shared<FrameStream>(std::move(socket), kStrangerPayload);
  sessions_[id] = {stream, ControlClock::now()};
  stream->start({[this, id](const Frame& frame) { on_frame(id, frame); },
                 [this, id](const StreamEnd& end) { on_end(id, end); }});
}

// A rank says hello at once, so the oldest stranger is the least likely to be one.
void ControlServer::Impl::make_room() {
  const auto stranger = [](const auto& item) { return item.second.rank < 0; };
  const auto count = std::count_if(sessions_.begin(), sessions_.end(), stranger);
  if (static_cast<std::size_t>(count) < options_.max_strangers) return;
  const auto oldest = std::find_if(sessions_.begin(), sessions_.end(), stranger);
  log_refused(oldest->second, "too many connections that have not said hello");
  oldest->second.stream->close();
  sessions_.erase(oldest);
}

void ControlServer::Impl::on_frame(std::uint64_t id, const Frame& frame) {
  Session& session = sessions_.at(id);
  if (session.refused) return;  // one try each
  if (session.rank >= 0) {
    on_message(session, frame);
  } else {
    greet(session, frame);
  }
}

void ControlServer::Impl::greet(Session& session, const Frame& frame) {
  Hello hello;
  try {
    hello = decode_hello(frame);
  } catch (const PeerError& e) {
    return refuse(session, e.what(), e.what());
  }
  // Whoever lacks the token learns nothing else.
  if (!same_token(hello.token, options_.token)) {
    return refuse(session, "wrong launch token", "wrong launch token");
  }
  std::unique_lock lock(mutex_);
  const std::string objection = verdict_ ? "the run is over" : watch_.objection(hello);
  if (objection.empty()) {
    watch_.arrive(hello, ControlClock::now());
    changed_.notify_all();
  }
  lock.unlock();
  if (!objection.empty()) {
    const std::string who = fmt::format("process {} on {}: ", hello.pid, hello.host);
    return refuse(session, objection, who + objection);
  }
  session.rank = static_cast<int>(hello.rank);
  session.stream->set_max_payload(kMaxFramePayload);
  session.stream->send(encode_control(
      Welcome{static_cast<std::uint32_t>(interval_.count()),
              static_cast<std::uint32_t>(options_.deadlines.peer.count()), options_.host}));
  next_beat_ = {};  // the reporter may be another now
}

void ControlServer::Impl::refuse(Session& session, const std::string& public_reason,
                                 const std::string& detail) {
  log_refused(session, detail);
  session.stream->send(encode_control(Refusal{public_reason}));
  session.stream->finish_sending();
  session.refused = true;
}

void ControlServer::Impl::log_refused(const Session& session, const std::string& why) {
  log(fmt::format("control server: refused {}: {}", session.stream->peer(), why));
}

void ControlServer::Impl::on_message(Session& session, const Frame& frame) {
  const ControlTime now = ControlClock::now();
  const std::lock_guard lock(mutex_);
  switch (static_cast<ControlKind>(frame.kind)) {
    case ControlKind::kHeartbeat:
      return watch_.heartbeat(session.rank, decode_heartbeat(frame), now);
    case ControlKind::kFailure:
      return watch_.failure(session.rank, decode_control<Failure>(frame), now);
    case ControlKind::kGoodbye:
      decode_control<Goodbye>(frame);
      watch_.goodbye(session.rank, now);
      session.left = true;
      session.stream->send(encode_control(Goodbye{}));
      session.stream->finish_sending();
      return changed_.notify_all();
    default:
      throw PeerError(fmt::format("malformed conversation: {} from a rank",
                                  control_kind_name(static_cast<ControlKind>(frame.kind))));
  }
}

void ControlServer::Impl::on_end(std::uint64_t id, const StreamEnd& end) {
  const auto it = sessions_.find(id);
  if (it->second.rank >= 0) {
    const std::lock_guard lock(mutex_);
    const std::string how = fmt::format("{} ({})", end.malformed ? "was cut off" : "died", end.why);
    watch_.connection_ended(it->second.rank, how, ControlClock::now());
  } else if (end.malformed) {
    log_refused(it->second, end.why);
  }
  sessions_.erase(it);
  check_drained(ControlClock::now());
}

// --- time ---

void ControlServer::Impl::tick() {
  const ControlTime now = ControlClock::now();
  if (std::exchange(accept_at_tick_, false) && acceptor_.is_open()) accept();
  expire_strangers(now);
  send_beats(now);
  std::optional<Verdict> verdict;
  {
    const std::lock_guard lock(mutex_);
    verdict = watch_.tick(now);
    if (verdict) {
      verdict_ = verdict;
      changed_.notify_all();
    }
  }
  if (verdict) conclude(*verdict);
  check_drained(now);
  timer_.expires_after(tick_);
  timer_.async_wait([this](const error_code& ec) {
    if (!ec) tick();
  });
}

void ControlServer::Impl::expire_strangers(ControlTime now) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    const Session& session = it->second;
    if (session.rank >= 0 || now - session.accepted < options_.hello_deadline) {
      ++it;
      continue;
    }
    if (!session.refused) log_refused(session, "no hello in time");
    session.stream->close();
    it = sessions_.erase(it);
  }
}

void ControlServer::Impl::send_beats(ControlTime now) {
  if (now < next_beat_ || drain_by_) return;
  next_beat_ = now + interval_;
  std::unique_lock lock(mutex_);
  const Beat beat{watch_.reporter()};
  lock.unlock();
  for (auto& [id, session] : sessions_) {
    if (session.rank < 0 || session.stream->queued() > kMaxQueuedFrames) continue;
    session.stream->send(encode_control(beat));
  }
}

void ControlServer::Impl::conclude(const Verdict& verdict) {
  error_code ignored;
  acceptor_.close(ignored);
  try {
    if (options_.on_verdict) options_.on_verdict(verdict);
  } catch (const std::exception& e) {
    log(fmt::format("control server: the verdict could not be written down: {}", e.what()));
  }
  std::erase_if(sessions_, [](const auto& item) {
    const bool over = item.second.rank < 0 || item.second.left;
    if (over) item.second.stream->close();
    return over;
  });
  const auto fleet = status();
  for (auto& [id, session] : sessions_) {
    const RankStatus& rank = fleet.at(static_cast<std::size_t>(session.rank));
    session.silent = rank.state == RankState::kLost;
    session.stream->send(encode_control(Abort{verdict.code, verdict.text}));
    session.stream->finish_sending();
  }
  drain_by_ = ControlClock::now() + kDrainLimit;
}

// The verdict has arrived when the ranks have closed their ends.
void ControlServer::Impl::check_drained(ControlTime now) {
  if (!drain_by_ || verdict_sent_) return;
  const bool awaited = std::any_of(sessions_.begin(), sessions_.end(),
                                   [](const auto& item) { return !item.second.silent; });
  if (awaited && now < *drain_by_) return;
  const std::lock_guard lock(mutex_);
  verdict_sent_ = true;
  changed_.notify_all();
}

void ControlServer::Impl::log(const std::string& line) {
  if (options_.log) options_.log(one_line(line, kMaxLogBytes));
}

// --- the public face ---

ControlServer::ControlServer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
ControlServer::~ControlServer() = default;
std::vector<std::string> ControlServer::addresses() const {
  return impl_->addresses();
}
std::uint16_t ControlServer::port() const {
  return impl_->port();
}
std::vector<RankStatus> ControlServer::status() const {
  return impl_->status();
}
bool ControlServer::wait_for_ranks() {
  return impl_->wait_for_ranks();
}
void ControlServer::interrupt(ExitCode code, const std::string& text) {
  impl_->interrupt(code, text);
}
std::optional<Verdict> ControlServer::finish(milliseconds limit) {
  return impl_->finish(limit);
}

}  // namespace varve
