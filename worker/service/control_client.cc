#include "worker/service/control_client.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "common/wire/frame_stream.h"
#include "worker/service/seq_cell.h"

namespace varve {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kWelcomeTimeout{5000};
constexpr milliseconds kRoundPause{50};
constexpr std::size_t kMaxQueuedFrames = 64;  // to a coordinator that does not read
constexpr std::size_t kMaxMessageBytes = 4000;
constexpr std::size_t kMaxHostBytes = 255;

struct Doing {
  std::uint64_t kind = 0;
  std::uint64_t step = kNoStep;
  std::uint64_t peer = kNoRank;
  std::int64_t since_ns = 0;
};

std::int64_t nanoseconds_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
      .count();
}

double seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

tcp::endpoint parse_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const char* const end = text.data() + text.size();
  std::uint16_t port = 0;
  const char* const digits = colon == std::string::npos ? end : text.data() + colon + 1;
  const auto [stop, error] = std::from_chars(digits, end, port);
  error_code ec;
  const auto address = asio::ip::make_address(host, ec);
  if (ec || error != std::errc() || stop != end || port == 0) {
    throw ConfigError(fmt::format(
        "coordinator address \"{}\": not of the form 192.0.2.7:4000 or [2001:db8::1]:4000", text));
  }
  return {address, port};
}

}  // namespace

// Everything but the cells and what `mutex_` guards belongs to one thread: the constructor's until
// the coordinator has welcomed this rank, then the client's own.
class ControlClient::Impl {
 public:
  explicit Impl(Options options);
  ~Impl();

  void set_activity(ActivityKind kind, std::uint64_t step, std::uint32_t peer);
  void set_status(const StageStatus& status) { status_.store(status); }
  void announce(ActivityKind kind);
  bool fail(ExitCode code, const std::string& message, milliseconds limit);
  bool goodbye(milliseconds limit);

 private:
  bool settled() const { return aborted_ || noted_ || muted_; }  // with mutex_ held
  void connect();
  /// Empty if welcomed, else what became of the attempt.
  std::string try_address(const tcp::endpoint& endpoint, milliseconds timeout,
                          Clock::time_point by);
  std::string shake_hands(tcp::socket socket, Clock::time_point by);
  template <class Predicate>
  bool run_until(Clock::time_point by, Predicate done);

  void on_frame(const Frame& frame);
  void on_greeting(const Frame& frame);
  void on_end(const StreamEnd& end);
  void tick();
  void send_heartbeat();
  void check_silence(Clock::time_point now);
  bool long_gap(Clock::duration gap) const;
  bool was_away(Clock::time_point now) const;
  Heartbeat heartbeat() const;
  void coordinator_lost(const std::string& how);
  void abort(const AbortNotice& notice);
  void left();

  Options options_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer timer_;
  std::shared_ptr<FrameStream> stream_;

  std::optional<Welcome> welcome_;
  std::string attempt_failed_;
  bool refused_ = false;

  milliseconds tick_{50};
  Clock::time_point last_tick_;
  Clock::time_point next_heartbeat_;
  Clock::time_point heard_;                   // the last message of the coordinator
  Clock::time_point patience_from_;           // `heard_`, plus what this process itself was away
  std::optional<Clock::time_point> away_to_;  // the end of the last long absence
  std::uint32_t reporter_ = kNoRank;
  bool ended_ = false;  // aborted or left: nothing more to send or to expect

  SeqCell<Doing> doing_;
  SeqCell<StageStatus> status_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool told_ = false;     // Failure is on its way
  bool over_ = false;     // on_abort is called or never will be
  bool aborted_ = false;  // on_abort has returned
  bool noted_ = false;    // the coordinator answered goodbye
  bool muted_ = false;    // goodbye() gave up waiting for that

  std::thread thread_;
};

ControlClient::Impl::Impl(Options options)
    : options_(std::move(options)), work_(asio::make_work_guard(io_)), timer_(io_) {
  set_activity(ActivityKind::kStarting, kNoStep, kNoRank);
  connect();
  heard_ = patience_from_ = last_tick_ = next_heartbeat_ = Clock::now();
  tick_ =
      std::clamp(milliseconds(welcome_->peer_deadline_ms) / 16, milliseconds(5), milliseconds(50));
  tick();
  thread_ = std::thread([this] { io_.run(); });
}

ControlClient::Impl::~Impl() {
  io_.stop();
  thread_.join();
}

// --- the handshake ---

template <class Predicate>
bool ControlClient::Impl::run_until(Clock::time_point by, Predicate done) {
  while (!done() && Clock::now() < by) io_.run_one_until(by);
  return done();
}

void ControlClient::Impl::connect() {
  const Clock::time_point by = Clock::now() + options_.start_deadline;
  std::vector<tcp::endpoint> endpoints;
  for (const std::string& text : options_.addresses) endpoints.push_back(parse_endpoint(text));
  milliseconds timeout = options_.connect_timeout;
  std::string tried;
  // Each round is more patient. All listen before anybody is told where, so a coordinator that
  // refuses will not change its mind.
  do {
    tried.clear();
    for (const tcp::endpoint& endpoint : endpoints) {
      const std::string failed = try_address(endpoint, timeout, by);
      if (failed.empty()) return;
      tried += fmt::format("{}{} ({})", tried.empty() ? "" : ", ", to_text(endpoint), failed);
    }
    timeout *= 2;
    run_until(std::min(by, Clock::now() + kRoundPause), [] { return false; });
  } while (!refused_ && Clock::now() < by && !endpoints.empty());
  throw PeerError(fmt::format("rank {} on {} could not join the coordinator within {:g} s: {}",
                              options_.rank, options_.host, seconds(options_.start_deadline),
                              tried.empty() ? "no address is known" : tried));
}

std::string ControlClient::Impl::try_address(const tcp::endpoint& endpoint, milliseconds timeout,
                                             Clock::time_point by) {
  tcp::socket socket(io_);
  std::optional<error_code> result;
  const auto connected = [&] { return result.has_value(); };
  socket.async_connect(endpoint, [&](const error_code& ec) { result = ec; });
  if (!run_until(std::min(by, Clock::now() + timeout), connected)) {
    error_code ignored;
    socket.close(ignored);
    run_until(Clock::time_point::max(), connected);  // its handler refers to this frame
    return "no answer";
  }
  if (*result) return result->message();
  return shake_hands(std::move(socket), std::min(by, Clock::now() + kWelcomeTimeout));
}

std::string ControlClient::Impl::shake_hands(tcp::socket socket, Clock::time_point by) {
  attempt_failed_.clear();
  stream_ = std::make_shared<FrameStream>(std::move(socket), kMaxFramePayload);
  stream_->start({[this](const Frame& frame) { on_frame(frame); },
                  [this](const StreamEnd& end) { on_end(end); }});
  stream_->send(encode_control(
      Hello{kControlVersion, options_.token, static_cast<std::uint32_t>(options_.rank),
            one_line(options_.host, kMaxHostBytes), static_cast<std::uint64_t>(getpid())}));
  const auto decided = [this] { return welcome_.has_value() || !attempt_failed_.empty(); };
  if (!run_until(by, decided)) attempt_failed_ = "connected, but no welcome";
  if (welcome_) return "";
  stream_->close();
  return attempt_failed_;
}

void ControlClient::Impl::on_greeting(const Frame& frame) {
  if (frame.kind == static_cast<std::uint32_t>(ControlKind::kRefusal)) {
    attempt_failed_ =
        "refused: " + one_line(decode_control<Refusal>(frame).reason, kMaxMessageBytes);
    refused_ = true;
    return;
  }
  welcome_ = decode_control<Welcome>(frame);
}

// --- the run ---

void ControlClient::Impl::on_frame(const Frame& frame) {
  if (!welcome_) return on_greeting(frame);
  heard_ = patience_from_ = Clock::now();
  switch (static_cast<ControlKind>(frame.kind)) {
    case ControlKind::kBeat:
      reporter_ = decode_control<Beat>(frame).reporter;
      return;
    case ControlKind::kAbort: {
      const auto order = decode_control<Abort>(frame);
      return abort({failure_code(order.code), one_line(order.verdict, kMaxMessageBytes)});
    }
    case ControlKind::kGoodbye:
      decode_control<Goodbye>(frame);
      return left();
    default:
      throw PeerError(fmt::format("malformed conversation: {} from the coordinator",
                                  control_kind_name(static_cast<ControlKind>(frame.kind))));
  }
}

void ControlClient::Impl::on_end(const StreamEnd& end) {
  if (!welcome_) {
    attempt_failed_ = end.why;
  } else {
    coordinator_lost(fmt::format("{} ({}), {:.1f} s after its last heartbeat",
                                 end.malformed ? "was cut off" : "died", end.why,
                                 seconds(Clock::now() - heard_)));
  }
}

void ControlClient::Impl::tick() {
  const Clock::time_point now = Clock::now();
  if (now >= next_heartbeat_) {
    next_heartbeat_ = now + milliseconds(welcome_->interval_ms);
    send_heartbeat();
  }
  check_silence(now);
  if (ended_) return;
  timer_.expires_after(tick_);
  timer_.async_wait([this](const error_code& ec) {
    if (!ec) tick();
  });
}

Heartbeat ControlClient::Impl::heartbeat() const {
  const Doing doing = doing_.load();
  const std::int64_t since_ms = (nanoseconds_now() - doing.since_ns) / 1'000'000;
  return {
      {static_cast<ActivityKind>(doing.kind), doing.step, static_cast<std::uint32_t>(doing.peer),
       static_cast<std::uint32_t>(std::clamp<std::int64_t>(since_ms, 0, 0xffffffff))},
      status_.load()};
}

void ControlClient::Impl::send_heartbeat() {
  if (stream_->queued() <= kMaxQueuedFrames) stream_->send(encode_control(heartbeat()));
}

void ControlClient::Impl::check_silence(Clock::time_point now) {
  // A tick that is late by far: this process was stopped, and what came meanwhile is still unread.
  const auto gap = now - std::exchange(last_tick_, now);
  if (gap > 4 * tick_) patience_from_ += gap - tick_;
  if (long_gap(gap)) away_to_ = now;
  if (now - patience_from_ < milliseconds(welcome_->peer_deadline_ms)) return;
  coordinator_lost(fmt::format("was lost {:.1f} s ago: no heartbeat", seconds(now - heard_)));
}

// Long enough for the coordinator to have taken this rank for lost.
bool ControlClient::Impl::long_gap(Clock::duration gap) const {
  return gap >= milliseconds(welcome_->peer_deadline_ms) * 3 / 4;
}

// Also when the news come before the tick that would notice.
bool ControlClient::Impl::was_away(Clock::time_point now) const {
  return long_gap(now - last_tick_) ||
         (away_to_ && now - *away_to_ < milliseconds(welcome_->peer_deadline_ms));
}

void ControlClient::Impl::coordinator_lost(const std::string& how) {
  AbortNotice notice;
  notice.code = ExitCode::kRankLost;
  notice.verdict = fmt::format("rank 0 on {}, which hosts the coordinator, {}; rank {} was {}",
                               one_line(welcome_->host, kMaxHostBytes), how, options_.rank,
                               describe(heartbeat().activity));
  notice.coordinator_lost = true;
  notice.report_here =
      reporter_ == static_cast<std::uint32_t>(options_.rank) && !was_away(Clock::now());
  abort(notice);
}

void ControlClient::Impl::abort(const AbortNotice& notice) {
  ended_ = true;
  stream_->close();
  timer_.cancel();
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(over_, true)) return;
  }
  if (options_.on_abort) options_.on_abort(notice);
  const std::lock_guard lock(mutex_);
  aborted_ = true;
  changed_.notify_all();
}

void ControlClient::Impl::left() {
  ended_ = true;
  stream_->close();
  timer_.cancel();
  const std::lock_guard lock(mutex_);
  over_ = noted_ = true;
  changed_.notify_all();
}

// --- called by the rank ---

void ControlClient::Impl::set_activity(ActivityKind kind, std::uint64_t step, std::uint32_t peer) {
  doing_.store({static_cast<std::uint64_t>(kind), step, peer, nanoseconds_now()});
}

void ControlClient::Impl::announce(ActivityKind kind) {
  set_activity(kind, kNoStep, kNoRank);
  asio::post(io_, [this] {
    if (!ended_) send_heartbeat();
  });
}

bool ControlClient::Impl::fail(ExitCode code, const std::string& message, milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!std::exchange(told_, true) && !over_) {
    asio::post(io_, [this, failure = Failure{code, one_line(message, kMaxMessageBytes)}] {
      send_heartbeat();
      stream_->send(encode_control(failure));
    });
  }
  return changed_.wait_for(lock, limit, [this] { return settled(); });
}

bool ControlClient::Impl::goodbye(milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!over_) asio::post(io_, [this] { stream_->send(encode_control(Goodbye{})); });
  changed_.wait_for(lock, limit, [this] { return settled(); });
  // An on_abort that is under way is waited for; a later one is not called.
  if (!std::exchange(over_, true)) muted_ = true;
  changed_.wait(lock, [this] { return settled(); });
  return noted_;
}

// --- the public face ---

ControlClient::ControlClient(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
ControlClient::~ControlClient() = default;
void ControlClient::set_activity(ActivityKind kind, std::uint64_t step, std::uint32_t peer) {
  impl_->set_activity(kind, step, peer);
}
void ControlClient::set_status(const StageStatus& status) {
  impl_->set_status(status);
}
void ControlClient::announce(ActivityKind kind) {
  impl_->announce(kind);
}
bool ControlClient::fail(ExitCode code, const std::string& message, milliseconds limit) {
  return impl_->fail(code, message, limit);
}
bool ControlClient::goodbye(milliseconds limit) {
  return impl_->goodbye(limit);
}

}  // namespace varve
