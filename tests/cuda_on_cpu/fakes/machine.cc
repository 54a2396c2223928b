#include "tests/cuda_on_cpu/fakes/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/capture.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {

Machine& Machine::get() {
  static Machine& machine = *new Machine;
  return machine;
}

Machine::Machine() {
  configure(settings_from_environment());
}

void Machine::configure(const Settings& settings) {
  if (memory_ != nullptr && !(memory_->empty() && idle(-1))) {
    throw std::logic_error("the fake machine is in use and cannot be another one");
  }
  settings_ = settings;
  random_.seed(settings.seed);
  memory_.reset();
  memory_ = std::make_unique<DeviceMemory>(settings.devices.size(), settings.memory);
}

CUstream_st* Machine::make_stream(int device) {
  streams_.push_back(std::make_unique<CUstream_st>());
  streams_.back()->device = device;
  return streams_.back().get();
}

void Machine::retire(CUstream_st* stream) {
  stream->orphaned = true;
  if (!stream->ops.empty() || stream->busy) return;
  std::erase_if(streams_, [stream](const auto& each) { return each.get() == stream; });
}

CUstream_st* Machine::find(const CUstream_st* stream) const {
  const auto found = std::find_if(streams_.begin(), streams_.end(),
                                  [stream](const auto& each) { return each.get() == stream; });
  return found == streams_.end() ? nullptr : found->get();
}

bool Machine::knows(const CUstream_st* stream) const {
  const CUstream_st* found = find(stream);
  return found != nullptr && !found->orphaned;
}

void Machine::put(CUstream_st& stream, Task task) {
  if (stream.capture != nullptr) {
    stream.capture->add(stream, std::move(task));
    return;
  }
  Work work = task.begin();
  push(stream, {std::move(task.what), std::move(work)});
}

void Machine::push(CUstream_st& stream, Op op) {
  if (stream.failure != nullptr) {
    if (op.drop) op.drop(stream.failure);
    return;
  }
  stream.ops.push_back(std::move(op));
  after_push();
}

void Machine::after_push() {
  if (settings_.order == Order::kEager) run_all();
  if (settings_.order == Order::kRandom) {
    const DeviceOpen open(memory_->arena());
    for (std::size_t steps = draw(3); steps > 0; --steps) step_random();
  }
}

void Machine::run_all() {
  const DeviceOpen open(memory_->arena());
  while (step_any(nullptr, false)) {
  }
}

bool Machine::advance(CUstream_st* favoured) {
  HostThread& thread = HostThread::current();
  const DeviceOpen open(memory_->arena());
  if (step_in_order(favoured)) {
    thread.stuck_since.reset();
    return true;
  }
  // What is waited for waits itself, for another rank say, and that may be one of this process.
  const auto now = Clock::now();
  if (!thread.stuck_since) thread.stuck_since = now;
  return now - *thread.stuck_since > kPatience && step_any(nullptr, false);
}

bool Machine::step_in_order(CUstream_st* favoured) {
  switch (settings_.order) {
    case Order::kLazy:
      return favoured != nullptr ? step_needed(*favoured) : step_any(nullptr, false);
    case Order::kContrary:
      return step_any(favoured, true);
    case Order::kRandom:
      return step_random();
    case Order::kEager:
      break;
  }
  return step_any(nullptr, false);
}

bool Machine::step_needed(CUstream_st& stream) {
  if (step(stream)) return true;
  if (stream.ops.empty()) return false;
  const std::shared_ptr<Record> record = stream.ops.front().awaits;
  if (record == nullptr || record->done) return false;
  CUstream_st* before = find(record->stream);
  return before != nullptr && step_needed(*before);
}

// By index: a step may end an orphaned stream, or make one.
bool Machine::step_any(CUstream_st* last, bool youngest_first) {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    CUstream_st& stream = *streams_[youngest_first ? streams_.size() - 1 - i : i];
    if (&stream != last && step(stream)) return true;
  }
  return last != nullptr && step(*last);
}

bool Machine::step_random() {
  if (streams_.empty()) return false;
  const std::size_t first = draw(streams_.size());
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (step(*streams_[(first + i) % streams_.size()])) return true;
  }
  return false;
}

bool Machine::step(CUstream_st& stream) {
  if (stream.ops.empty() || stream.busy) return false;
  stream.busy = true;
  Progress progress = Progress::kDone;
  std::exception_ptr failure;
  try {
    const InsideWork inside(InsideWork::kDevice);
    progress = stream.ops.front().run();
  } catch (...) {
    failure = std::current_exception();
  }
  stream.busy = false;
  if (progress == Progress::kStuck && failure == nullptr) return false;
  ++ticks_;
  if (failure != nullptr) {
    fail(stream, failure);
  } else if (progress == Progress::kDone) {
    last_work_ = std::move(stream.ops.front().what);
    stream.ops.pop_front();
  }
  if (stream.orphaned) retire(&stream);
  return true;
}

void Machine::fail(CUstream_st& stream, const std::exception_ptr& failure) {
  stream.failure = failure;
  while (!stream.ops.empty()) {
    const Op op = std::move(stream.ops.front());
    stream.ops.pop_front();
    if (op.drop) op.drop(failure);
  }
}

void Machine::fail_all(const std::exception_ptr& failure) {
  for (const auto& stream : streams_) {
    // One that is busy runs a host function that does not return.
    if (!stream->ops.empty() && !stream->busy) fail(*stream, failure);
  }
  std::erase_if(streams_, [](const auto& each) { return each->orphaned && !each->busy; });
}

void Machine::drive(Call& call, CUstream_st* favoured, const std::function<bool()>& ready) {
  std::uint64_t seen = ticks_;
  auto moved = Clock::now();
  while (true) {
    {
      const DeviceOpen open(memory_->arena());
      while (!ready() && advance(favoured)) {
      }
      if (ready()) return check_overruns();
    }
    const auto now = Clock::now();
    if (seen != ticks_) {
      seen = ticks_;
      moved = now;
    } else if (now - moved > settings_.deadline) {
      const KernelError hang(fmt::format("{}: {}", call.name(), hang_report()));
      fail_all(std::make_exception_ptr(hang));
      throw hang;
    }
    call.rest();
  }
}

std::string Machine::hang_report() const {
  std::string report = fmt::format("no progress for {} s; the streams wait at:",
                                   static_cast<double>(settings_.deadline.count()) / 1000);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const auto& ops = streams_[i]->ops;
    report += fmt::format(" [{}: {}]", i, ops.empty() ? "-" : ops.front().what);
  }
  return report;
}

void Machine::outside(const std::function<void()>& run) {
  const int depth = memory_->arena().close_all();
  mutex_.unlock();
  std::exception_ptr failure;
  try {
    const InsideWork inside("a host function");
    run();
  } catch (...) {
    failure = std::current_exception();
  }
  mutex_.lock();
  memory_->arena().reopen(depth);
  if (failure != nullptr) std::rethrow_exception(failure);
}

bool Machine::idle(int device) const {
  return std::all_of(streams_.begin(), streams_.end(), [device](const auto& stream) {
    return (device >= 0 && stream->device != device) || (stream->ops.empty() && !stream->busy);
  });
}

std::exception_ptr Machine::failure(int device) const {
  for (const auto& stream : streams_) {
    if (stream->device == device && stream->failure != nullptr) return stream->failure;
  }
  return nullptr;
}

void Machine::report_later(const std::string& what) {
  if (late_report_.empty()) late_report_ = what;
}

void Machine::check_overruns() {
  if (!late_report_.empty()) throw KernelError(std::exchange(late_report_, {}));
  if (const auto found = memory_->take_overrun()) {
    throw KernelError(fmt::format("{}; the last work was {}", *found, last_work_));
  }
}

}  // namespace varve::fakes
