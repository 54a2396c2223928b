// A control server with short deadlines that remembers what it logged and found.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "coordinator/fleet/control_server.h"
#include "tests/coordinator/fleet/raw_peer.h"

namespace varve {

class ServerUnderTest {
 public:
  static constexpr std::chrono::milliseconds kPatience{10'000};
  static constexpr const char* kToken = "0123456789abcdef0123456789abcdef";

  static ControlServer::Options options(int ranks) {
    ControlServer::Options o;
    o.ranks = ranks;
    o.token = kToken;
    o.host = "node-a";
    o.bind = "127.0.0.1";
    o.deadlines = {kPatience, kPatience, std::chrono::milliseconds(0)};
    o.settle = {std::chrono::milliseconds(30), std::chrono::milliseconds(60)};
    return o;
  }

  explicit ServerUnderTest(ControlServer::Options o) {
    o.log = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      log_ += line + "\n";
      changed_.notify_all();
    };
    o.on_verdict = [this, also = o.on_verdict](const Verdict& verdict) {
      {
        const std::lock_guard lock(mutex_);
        verdicts_.push_back(verdict);
        changed_.notify_all();
      }
      if (also) also(verdict);
    };
    server_ = std::make_unique<ControlServer>(std::move(o));
  }

  ControlServer& server() { return *server_; }
  void stop() { server_.reset(); }
  std::string address() const { return server_->addresses().front(); }

  RawPeer connect() const { return RawPeer(address()); }
  /// A rank that has been welcomed.
  RawPeer join(std::uint32_t rank, const std::string& host = "node-x") const {
    RawPeer peer(address());
    peer.send(Hello{kControlVersion, kToken, rank, host, 4711});
    peer.read_message<Welcome>();
    return peer;
  }

  bool wait_for_log(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return log_.find(text) != std::string::npos; });
  }
  /// The only verdict; waits for it.
  Verdict verdict() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return !verdicts_.empty(); });
    return verdicts_.size() == 1 ? verdicts_.front() : Verdict{};
  }
  std::size_t verdict_count() {
    const std::lock_guard lock(mutex_);
    return verdicts_.size();
  }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string log_;
  std::vector<Verdict> verdicts_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace varve
