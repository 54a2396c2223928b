// What streams are made of.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <set>
#include <string>

namespace varve::fakes {

struct Capture;

enum class Progress { kDone, kMoved, kStuck };

/// Called again until it is done. What it throws fails its stream.
using Work = std::function<Progress()>;

/// What a graph node can be.
enum class NodeKind { kKernel, kCopy, kMemset, kHost, kExchange };

/// Work as it is asked for: a captured task begins anew with each launch of its graph.
struct Task {
  std::string what;
  NodeKind kind;
  std::function<Work()> begin;
};

/// One cudaEventRecord. Who waits for it keeps it, whatever becomes of the event.
struct Record {
  bool done = false;
  std::exception_ptr failure;           // of the work before it
  std::uint64_t tick = 0;               // of the device's clock
  const CUstream_st* stream = nullptr;  // may be gone: to compare only
  std::shared_ptr<Capture> capture;     // if it was recorded in one
  std::set<std::size_t> after;          // nodes of that capture
};

/// Work in a queue.
struct Op {
  std::string what;
  Work run;
  std::shared_ptr<Record> awaits = nullptr;
  /// Instead of running it: work before it failed.
  std::function<void(const std::exception_ptr&)> drop = nullptr;
};

/// Work that is done when it has run once.
inline Work once(std::function<void()> run) {
  return [run = std::move(run)] {
    run();
    return Progress::kDone;
  };
}

}  // namespace varve::fakes

struct CUstream_st {
  int device = 0;
  std::deque<varve::fakes::Op> ops;
  bool busy = false;      // its first work is running
  bool orphaned = false;  // destroyed by the host: goes when it is empty
  std::exception_ptr failure;
  std::shared_ptr<varve::fakes::Capture> capture;
};

struct CUevent_st {
  int device = 0;
  unsigned flags = 0;
  std::shared_ptr<varve::fakes::Record> record;
};
