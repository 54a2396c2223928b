#include "tests/cuda_on_cpu/fakes/capture.h"

#include <algorithm>
#include <utility>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/machine.h"

namespace varve::fakes {
namespace {

class GraphRun {
 public:
  GraphRun(std::shared_ptr<const std::vector<Node>> nodes, std::shared_ptr<bool> running)
      : nodes_(std::move(nodes)), running_(std::move(running)), done_(nodes_->size()) {
    // All at the launch, in the order of the capture: communicators count their operations then.
    for (const Node& node : *nodes_) works_.push_back(node.task.begin());
  }
  ~GraphRun() {
    if (holds_) *running_ = false;
  }
  GraphRun(const GraphRun&) = delete;
  GraphRun& operator=(const GraphRun&) = delete;

  Progress step() {
    if (!holds_ && std::exchange(*running_, true)) return Progress::kStuck;
    holds_ = true;
    const Progress progress = step_one();
    if (left() > 0) return progress;
    *running_ = holds_ = false;
    return Progress::kDone;
  }

 private:
  Progress step_one();
  std::size_t choice(std::size_t i, std::size_t first) const;
  bool ready(std::size_t node) const;
  std::size_t left() const {
    return static_cast<std::size_t>(std::count(done_.begin(), done_.end(), false));
  }

  std::shared_ptr<const std::vector<Node>> nodes_;
  std::shared_ptr<bool> running_;
  bool holds_ = false;
  std::vector<Work> works_;
  std::vector<bool> done_;
};

Progress GraphRun::step_one() {
  Machine& machine = Machine::get();
  const std::size_t count = done_.size();
  const bool random = machine.settings().order == Order::kRandom && count > 0;
  const std::size_t first = random ? machine.draw(count) : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t node = choice(i, first);
    if (done_[node] || !ready(node)) continue;
    const Progress progress = works_[node]();
    if (progress == Progress::kStuck) continue;
    done_[node] = progress == Progress::kDone;
    return Progress::kMoved;
  }
  return Progress::kStuck;
}

std::size_t GraphRun::choice(std::size_t i, std::size_t first) const {
  const std::size_t count = done_.size();
  if (Machine::get().settings().order == Order::kContrary) return count - 1 - i;
  return (first + i) % count;
}

bool GraphRun::ready(std::size_t node) const {
  const auto& after = (*nodes_)[node].after;
  return std::all_of(after.begin(), after.end(), [this](std::size_t each) { return done_[each]; });
}

}  // namespace

void Capture::add(const CUstream_st& stream, Task task) {
  std::set<std::size_t>& after = frontier[&stream];
  nodes.push_back({std::move(task), after});
  after = {nodes.size() - 1};
}

bool Capture::joined() const {
  std::vector<bool> reached(nodes.size());
  const auto entry = frontier.find(origin);
  if (entry != frontier.end()) {
    for (const std::size_t node : entry->second) reached[node] = true;
  }
  // A node comes after nodes that were captured before it.
  for (std::size_t i = nodes.size(); i-- > 0;) {
    if (!reached[i]) return false;
    for (const std::size_t before : nodes[i].after) reached[before] = true;
  }
  return true;
}

bool invalidate_captures(Machine& machine, const HostThread& thread) {
  if (thread.capture_mode == cudaStreamCaptureModeRelaxed) return false;
  bool any = false;
  for (const auto& capture : machine.captures()) {
    const bool own = capture->thread == std::this_thread::get_id();
    const bool forbids = own ? capture->mode != cudaStreamCaptureModeRelaxed
                             : thread.capture_mode == cudaStreamCaptureModeGlobal &&
                                   capture->mode == cudaStreamCaptureModeGlobal;
    if (!forbids) continue;
    capture->invalid = true;
    any = true;
  }
  return any;
}

Work launch_graph(std::shared_ptr<const std::vector<Node>> nodes, std::shared_ptr<bool> running) {
  auto run = std::make_shared<GraphRun>(std::move(nodes), std::move(running));
  return [run = std::move(run)] { return run->step(); };
}

}  // namespace varve::fakes
