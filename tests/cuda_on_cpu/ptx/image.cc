#include "tests/cuda_on_cpu/ptx/image.h"

#include <algorithm>
#include <utility>

#include "tests/cuda_on_cpu/ptx/decode.h"
#include "tests/cuda_on_cpu/ptx/inline_calls.h"

namespace varve::ptx {
namespace {

constexpr std::size_t kAlignment = 256;  // as of device memory

bool in_memory(const Variable& variable) {
  return variable.space == Space::kGlobal || variable.space == Space::kConst;
}

}  // namespace

Image::Image(Module module) : module_(std::move(module)) {
  for (const Variable& variable : module_.variables) {
    if (!in_memory(variable)) continue;
    bytes_ = (bytes_ + variable.align - 1) / variable.align * variable.align;
    places_[variable.name] = bytes_;
    bytes_ += variable.bytes;
  }
  storage_ = std::make_unique<unsigned char[]>(bytes_ + kAlignment);
  begin_ =
      (reinterpret_cast<std::uint64_t>(storage_.get()) + kAlignment - 1) / kAlignment * kAlignment;
  for (const Variable& variable : module_.variables) {
    if (!in_memory(variable)) continue;
    std::ranges::copy(variable.initial, reinterpret_cast<unsigned char*>(address(variable)));
  }
}

std::uint64_t Image::address(const Variable& variable) const {
  return begin_ + places_.at(variable.name);
}

bool Image::holds(std::uint64_t address, std::size_t bytes) const {
  return address >= begin_ && address + bytes <= begin_ + bytes_;
}

const Program* Image::find(const std::string& entry) {
  if (const auto known = programs_.find(entry); known != programs_.end()) return &known->second;
  const Function* const function = module_.find_entry(entry);
  if (function == nullptr) return nullptr;
  const Function& inlined = inlined_.emplace(entry, inline_calls(module_, *function)).first->second;
  return &programs_.emplace(entry, decode(*this, inlined)).first->second;
}

}  // namespace varve::ptx
