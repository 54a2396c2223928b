#include "tests/cuda_on_cpu/ptx/memory.h"

namespace varve::ptx {
namespace {

std::string hex(std::uint64_t value) {
  static const char* const kDigits = "0123456789abcdef";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[value & 15U]);
    value >>= 4U;
  } while (value != 0);
  return "0x" + text;
}

[[noreturn]] void fail_outside(Warp& warp, const Instruction& i, unsigned lane, const char* what,
                               std::uint64_t address, std::size_t bytes, std::size_t there) {
  warp.fail(i, lane,
            std::string(what) + " memory out of bounds: " + std::to_string(bytes) + " byte(s) at " +
                std::to_string(static_cast<std::int64_t>(address)) + " of " +
                std::to_string(there));
}

bool inside(std::uint64_t address, std::size_t bytes, std::size_t there) {
  return bytes <= there && address <= there - bytes;
}

unsigned char* global(Warp& warp, const Instruction& i, unsigned lane, std::uint64_t address,
                      std::size_t bytes) {
  if (!warp.block().global_valid(address, bytes)) {
    warp.fail(
        i, lane,
        "global memory out of bounds: " + std::to_string(bytes) + " byte(s) at " + hex(address));
  }
  return reinterpret_cast<unsigned char*>(address);
}

unsigned char* generic(Warp& warp, const Instruction& i, unsigned lane, std::uint64_t address,
                       std::size_t bytes) {
  // Whoever misses shared memory by little meant shared memory.
  constexpr std::size_t kNear = 1024;
  Block& block = warp.block();
  const std::size_t thread = std::size_t{warp.index()} * kLanes + lane;
  const std::uint64_t in_shared = address - reinterpret_cast<std::uint64_t>(block.shared());
  if (in_shared < block.shared_bytes() + (block.shared_bytes() != 0 ? kNear : 0)) {
    return resolve(warp, i, Space::kShared, lane, in_shared, bytes, 1);
  }
  const std::size_t local_bytes = block.program().local_bytes;
  const std::uint64_t in_local = address - reinterpret_cast<std::uint64_t>(block.local(thread));
  if (inside(in_local, bytes, local_bytes)) return block.local(thread) + in_local;
  return global(warp, i, lane, address, bytes);
}

}  // namespace

Space space_of(const Statement& s) {
  if (s.has("global")) return Space::kGlobal;
  if (s.has("shared") || s.has("shared::cta")) return Space::kShared;
  if (s.has("param") || s.has("param::entry")) return Space::kParam;
  if (s.has("local")) return Space::kLocal;
  if (s.has("const")) return Space::kConst;
  return Space::kGeneric;
}

unsigned char* resolve(Warp& warp, const Instruction& i, Space space, unsigned lane,
                       std::uint64_t address, std::size_t bytes, std::size_t alignment) {
  if (address % alignment != 0) {
    warp.fail(i, lane,
              "misaligned access: address " + hex(address) + ", not a multiple of " +
                  std::to_string(alignment));
  }
  Block& block = warp.block();
  switch (space) {
    case Space::kGlobal:
    case Space::kConst:
      return global(warp, i, lane, address, bytes);
    case Space::kShared:
      if (!inside(address, bytes, block.shared_bytes())) {
        fail_outside(warp, i, lane, "shared", address, bytes, block.shared_bytes());
      }
      return block.shared() + address;
    case Space::kLocal:
      if (!inside(address, bytes, block.program().local_bytes)) {
        fail_outside(warp, i, lane, "local", address, bytes, block.program().local_bytes);
      }
      return block.local(std::size_t{warp.index()} * kLanes + lane) + address;
    case Space::kParam:
      if (!inside(address, bytes, block.params().size())) {
        fail_outside(warp, i, lane, "parameter", address, bytes, block.params().size());
      }
      return block.params().data() + address;
    case Space::kGeneric:
      return generic(warp, i, lane, address, bytes);
  }
  return nullptr;
}

}  // namespace varve::ptx
