#include "tests/cuda_on_cpu/fakes/fault_message.h"

#include <dlfcn.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "tests/cuda_on_cpu/fakes/call.h"

namespace varve::fakes {
namespace {

// A signal handler has nothing but globals. The arena is one per process.
std::atomic<const std::byte*> arena_begin{nullptr};
std::atomic<std::size_t> arena_bytes{0};
struct sigaction previous_action;

const void* instruction(const void* context) {
  const auto* user = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(user->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(user->uc_mcontext.pc);
#else
  return static_cast<const void*>(static_cast<const void*>(user) == nullptr ? nullptr : context);
#endif
}

// The process is about to end, so calls that a handler should not make do no more harm.
void print_fault(const void* address, const void* code) {
  Dl_info info{};
  const bool found = dladdr(code, &info) != 0;
  const char* file = found && info.dli_fname != nullptr ? info.dli_fname : "?";
  const char* name = found && info.dli_sname != nullptr ? info.dli_sname : "a function";
  const auto offset =
      found ? static_cast<const char*>(code) - static_cast<const char*>(info.dli_fbase) : 0;
  // Of a kernel that is wide off: what is near a block is mapped, and found by its canary.
  const bool device = InsideWork::what() == InsideWork::kDevice;
  char line[512];
  const int length = std::snprintf(
      line, sizeof line, "fake CUDA: %s at %p, in %s (addr2line -e %s 0x%zx)\n",
      device ? "device code touched memory of no block" : "host code touched device memory",
      address, name, file, static_cast<std::size_t>(offset));
  if (length > 0) {
    const auto wanted = static_cast<std::size_t>(length);
    const ssize_t written = write(STDERR_FILENO, line, wanted < sizeof line ? wanted : sizeof line);
    static_cast<void>(written);
  }
}

void on_fault(int, siginfo_t* info, void* context) {
  const auto* address = static_cast<const std::byte*>(info->si_addr);
  const std::byte* begin = arena_begin.load();
  if (address >= begin && address < begin + arena_bytes.load()) {
    print_fault(address, instruction(context));
  }
  // The instruction is repeated and faults again, now with the handler that was there before.
  sigaction(SIGSEGV, &previous_action, nullptr);
}

}  // namespace

void explain_faults_in(const std::byte* begin, std::size_t bytes) {
  const bool first = arena_begin.load() == nullptr;
  arena_bytes = bytes;
  arena_begin = begin;
  if (!first) return;
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &previous_action);
}

}  // namespace varve::fakes
