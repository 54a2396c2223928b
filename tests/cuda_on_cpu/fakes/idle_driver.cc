#include "tests/cuda_on_cpu/fakes/idle_driver.h"

#include <mutex>
#include <thread>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/machine.h"

namespace varve::fakes {
namespace {

[[noreturn]] void drive_when_idle() {
  Machine& machine = Machine::get();
  while (true) {
    std::this_thread::sleep_for(Machine::kPatience);
    const std::lock_guard lock(machine.mutex());
    if (HostThread::count() <= 1 && machine.host_functions == 0) continue;
    if (machine.idle(-1)) continue;
    if (Machine::Clock::now() - machine.last_call > Machine::kPatience) machine.run_all();
  }
}

}  // namespace

void start_idle_driver() {
  // Detached: it lives as long as the machine, which is never destroyed.
  static const bool started = [] {
    std::thread(drive_when_idle).detach();
    return true;
  }();
  static_cast<void>(started);
}

}  // namespace varve::fakes
