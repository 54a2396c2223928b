#include "tests/cuda_on_cpu/emulator/fiber.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

#include "tests/cuda_on_cpu/emulator/sanitizer.h"

namespace varve::emulator {
namespace {

namespace context = boost::context::detail;

// Sanitizers' frames are several times larger.
constexpr std::size_t kStackBytes = (kAddressSanitizer || kThreadSanitizer ? 256U : 64U) * 1024U;
constexpr std::size_t kColors = 16;
constexpr std::size_t kColorBytes = 256;

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

struct Fiber::Entry {
  static void enter(context::transfer_t from) {
    const Switch way = *static_cast<const Switch*>(from.data);
    arrive(from.fctx, way);
    way.to->main_();
  }
};

Fiber::~Fiber() {
  if (mapping_ == nullptr) return;
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
  __tsan_destroy_fiber(thread_);
#endif
  munmap(mapping_, page_bytes() + kStackBytes);
}

void Fiber::map_stack() {
  const std::size_t page = page_bytes();
  void* const memory = mmap(nullptr, page + kStackBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) throw std::bad_alloc();
  mapping_ = memory;
  stack_ = static_cast<char*>(memory) + page;
  stack_bytes_ = kStackBytes;
}

void Fiber::start(void (*main)(), std::size_t number) {
  if (mapping_ == nullptr) map_stack();
  allow(stack_, stack_bytes_);  // frames that were forgotten left their marks
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
  if (thread_ != nullptr) __tsan_destroy_fiber(thread_);
  thread_ = __tsan_create_fiber(0);
  __tsan_set_fiber_name(thread_, fmt::format("CUDA thread {}", number).c_str());
#endif
  fake_stack_ = nullptr;
  main_ = main;
  const std::size_t bytes = kStackBytes - number % kColors * kColorBytes;
  char* const top = static_cast<char*>(mapping_) + page_bytes() + bytes;
  context_ = context::make_fcontext(top, bytes, Entry::enter);
}

void Fiber::switch_to(Fiber& to) {
  const Switch way{this, &to};
#ifdef VARVE_EMULATOR_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(&fake_stack_, to.stack_, to.stack_bytes_);
#endif
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
  __tsan_switch_to_fiber(to.thread_, __tsan_switch_to_fiber_no_sync);
#endif
  const context::transfer_t back = context::jump_fcontext(to.context_, const_cast<Switch*>(&way));
  arrive(back.fctx, *static_cast<const Switch*>(back.data));
}

void Fiber::arrive(void* context, const Switch& way) {
  way.from->context_ = context;
#ifdef VARVE_EMULATOR_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(way.to->fake_stack_, &way.from->stack_, &way.from->stack_bytes_);
#endif
}

void Fiber::adopt_thread() {
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
  thread_ = __tsan_get_current_fiber();
#endif
}

}  // namespace varve::emulator
