// A kernel made ready to run: every operand is a slot of the warp's register file, every opcode a
// function over the lanes of a warp. Made once per entry, by decode.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/ptx/syntax.h"

namespace varve::ptx {

inline constexpr unsigned kLanes = 32;
inline constexpr std::uint32_t kAllLanes = ~std::uint32_t{0};

class Image;
class Warp;
struct Instruction;

/// What an instruction does for the lanes whose bits are set.
using Handler = void (*)(Warp& warp, const Instruction& instruction, std::uint32_t lanes);

struct Instruction {
  enum class Kind : std::uint8_t {
    kPlain,   // run, go on
    kGroup,   // needs all lanes of a mask at the same time: shuffles, votes, mma
    kBranch,  // to `target`
    kTable,   // to one of `targets`, chosen by slot 0
    kExit,
    kBarrier,  // number in `extra`, threads in `count` (0: the block)
  };
  Kind kind = Kind::kPlain;
  bool guard_negated = false;
  std::array<bool, 2> wide{};   // whether the base of address i is a 64-bit register
  std::uint32_t guard = kNone;  // predicate
  Handler run = nullptr;
  std::array<std::uint32_t, 14> slot{};  // destinations first
  std::array<std::int64_t, 2> offset{};  // of address i
  std::uint32_t extra = 0;               // what the opcode wants: a table, a mode, flags
  std::uint32_t count = 1;               // of a vector's elements
  std::uint32_t target = 0;
  std::uint32_t mask = kNone;  // kGroup: slot of the mask; kNone: all lanes
  std::vector<std::uint32_t> targets;
};

/// A slot that holds the same in every lane, always.
struct Constant {
  std::uint32_t slot;
  bool wide;
  std::uint64_t value;
};

enum class Special : std::uint8_t {
  kTidX,
  kTidY,
  kTidZ,
  kNtidX,
  kNtidY,
  kNtidZ,
  kCtaidX,
  kCtaidY,
  kCtaidZ,
  kNctaidX,
  kNctaidY,
  kNctaidZ,
  kLane,
  kWarp,
  kWarps,
  kMaskEq,
  kMaskLt,
  kMaskLe,
  kMaskGt,
  kMaskGe,
  kDynamicShared,
  kTotalShared,
  kZero
};

struct SpecialSlot {
  std::uint32_t slot;
  Special what;
};

struct Program {
  const Image* image = nullptr;
  const Function* function = nullptr;
  std::vector<Instruction> code;  // one per statement of the function
  // How many slots: of up to 32 bits, of 64 bits, of predicates.
  std::uint32_t words = 0;
  std::uint32_t longs = 0;
  std::uint32_t predicates = 0;
  std::vector<Constant> constants;
  std::vector<SpecialSlot> specials;
  std::vector<std::size_t> param_offsets;
  std::size_t param_bytes = 0;
  std::size_t shared_bytes = 0;          // static
  std::size_t dynamic_at = 0;            // where .extern .shared begins
  std::size_t local_bytes = 0;           // of a thread
  std::vector<std::string> unsupported;  // statements that fail if they are run
};

}  // namespace varve::ptx
