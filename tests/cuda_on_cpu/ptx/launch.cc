#include "tests/cuda_on_cpu/ptx/launch.h"

#include <dlfcn.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/cuda_on_cpu/emulator/schedule.h"
#include "tests/cuda_on_cpu/ptx/library.h"

namespace varve::ptx {
namespace {

// Of the process, as the modules that a driver has loaded are.
struct Loaded {
  void load(const std::string& paths) {
    auto library = std::make_unique<Library>();
    library->add(paths);
    libraries.push_back(std::move(library));
  }
  Library& library() {
    if (libraries.empty()) {
      const char* const paths = std::getenv("VARVE_PTX");
      load(paths == nullptr ? "" : paths);
    }
    return *libraries.back();
  }

  std::mutex mutex;
  std::vector<std::unique_ptr<Library>> libraries;  // the last one is searched
  bool (*valid)(const void*, std::size_t) = nullptr;
};

Loaded& loaded() {
  static Loaded state;
  return state;
}

// Empty if the kernel is of one translation unit only, or the program was linked without -rdynamic.
std::string symbol_of(const void* kernel) {
  Dl_info info{};
  const bool known = dladdr(kernel, &info) != 0 && info.dli_saddr == kernel;
  return known && info.dli_sname != nullptr ? info.dli_sname : "";
}

bool is_reverse(const emulator::Schedule& schedule) {
  return schedule.order == emulator::Order::kReverse ||
         (schedule.order == emulator::Order::kRandom && schedule.seed % 2 != 0);
}

}  // namespace

void use(const std::string& paths) {
  const std::lock_guard lock(loaded().mutex);
  loaded().load(paths);
}

void set_valid(bool (*valid)(const void* begin, std::size_t bytes)) {
  const std::lock_guard lock(loaded().mutex);
  loaded().valid = valid;
}

const Program& find_program(const void* kernel, std::string_view name,
                            std::span<const std::size_t> parameter_bytes) {
  const std::lock_guard lock(loaded().mutex);
  return loaded().library().find(symbol_of(kernel), name, parameter_bytes);
}

void run_program(const Program& program, dim3 blocks, dim3 threads, std::size_t shared,
                 std::span<const Argument> arguments) {
  const emulator::Schedule schedule = emulator::schedule();
  Options options;
  options.reverse = is_reverse(schedule);
  options.late_copies = schedule.copies == emulator::Copies::kLate;
  {
    const std::lock_guard lock(loaded().mutex);
    options.valid = loaded().valid;
  }
  const Grid grid{{blocks.x, blocks.y, blocks.z}, {threads.x, threads.y, threads.z}, shared};
  run_grid(program, grid, arguments, options);
}

}  // namespace varve::ptx
