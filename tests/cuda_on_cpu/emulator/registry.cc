#include "tests/cuda_on_cpu/emulator/registry.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace varve::emulator {
namespace {

void write_log();

// Of the process, since static objects of many translation units enter it before main.
struct Registry {
  Registry() { std::atexit(write_log); }

  std::mutex mutex;
  std::vector<const KernelRecord*> records;
  std::deque<std::string> names;
};

// Never destroyed: the log is written when other static objects may be gone.
Registry& registry() {
  static auto* const registry = new Registry;
  return *registry;
}

// In one piece, so that the lines of processes that end together do not mix.
void append(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    std::perror(path);
  }
  if (file >= 0) close(file);
}

// "f<3>" from "(void f<3>(int))", as templates are written; others are a name alone.
std::string_view without_signature(std::string_view name) {
  if (!name.starts_with("(void ") || !name.ends_with("))")) return name;
  name.remove_prefix(std::string_view("(void ").size());
  name.remove_suffix(2);
  for (int depth = 1; depth > 0 && !name.empty(); name.remove_suffix(1)) {
    if (name.back() == ')') ++depth;
    if (name.back() == '(') --depth;
  }
  return name;
}

void write_log() {
  const char* const path = std::getenv("VARVE_KERNEL_LOG");
  if (path == nullptr) return;
  std::string text;
  for (const KernelRecord* record : kernel_records()) {
    text += fmt::format("{} {}\n", record->name(), record->launches());
  }
  append(path, text);
}

}  // namespace

std::string detail::kernel_name(const char* mangled_tag) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> readable(
      abi::__cxa_demangle(mangled_tag, nullptr, nullptr, &status), std::free);
  if (readable == nullptr) return mangled_tag;
  std::string_view name(readable.get());
  name.remove_prefix(name.find("<&") + 2);
  name.remove_suffix(1);
  return std::string(without_signature(name));
}

KernelRecord::KernelRecord(std::string name) {
  const std::lock_guard lock(registry().mutex);
  name_ = registry().names.emplace_back(std::move(name));
  registry().records.push_back(this);
}

std::vector<const KernelRecord*> kernel_records() {
  const std::lock_guard lock(registry().mutex);
  return registry().records;
}

}  // namespace varve::emulator
