// Stream capture and the graphs that it makes.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "tests/cuda_on_cpu/fakes/work.h"

namespace varve::fakes {

class Machine;
struct HostThread;

struct Node {
  Task task;
  std::set<std::size_t> after;  // nodes that must be done before
};

/// From cudaStreamBeginCapture to cudaStreamEndCapture. An event recorded in one of its streams and
/// awaited in another brings that one in, too.
struct Capture {
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  CUstream_st* origin;
  bool invalid = false;
  std::vector<Node> nodes;
  /// For each stream, what its next node comes after.
  std::map<const CUstream_st*, std::set<std::size_t>> frontier;

  void add(const CUstream_st& stream, Task task);
  /// Whether the origin's stream has waited for everything.
  bool joined() const;
};

/// Marks as invalid the captures during which this thread may not call what is potentially unsafe.
/// False if there are none.
bool invalidate_captures(Machine& machine, const HostThread& thread);

/// One launch: runs the nodes in an order that the graph allows and the machine's order makes
/// unkind. Two launches of one instance do not overlap (`running`, which they share).
Work launch_graph(std::shared_ptr<const std::vector<Node>> nodes, std::shared_ptr<bool> running);

}  // namespace varve::fakes

struct CUgraph_st {
  std::vector<varve::fakes::Node> nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<varve::fakes::Node>> nodes;
  std::shared_ptr<bool> running = std::make_shared<bool>(false);
};
