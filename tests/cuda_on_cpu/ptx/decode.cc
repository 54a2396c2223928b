#include "tests/cuda_on_cpu/ptx/decode.h"

#include <array>

#include "tests/cuda_on_cpu/ptx/machine.h"

namespace varve::ptx {
namespace {

constexpr std::array kDecoders = {
    &decode_control, &decode_memory, &decode_move,  &decode_carry,   &decode_integer,
    &decode_bits,    &decode_float,  &decode_half,  &decode_convert, &decode_compare,
    &decode_atomic,  &decode_copy,   &decode_group, &decode_matrix,
};

void run_unsupported(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  warp.fail(i, static_cast<unsigned>(std::countr_zero(lanes)),
            "the interpreter cannot run " + warp.block().program().unsupported[i.extra]);
}

Instruction guarded(Slots& slots, const Statement& s) {
  Instruction i;
  if (s.guard != kNone) {
    i.guard = slots.predicate(s.guard);
    i.guard_negated = s.guard_negated;
  }
  return i;
}

Instruction decode_statement(Slots& slots, const Statement& s) {
  Instruction i = guarded(slots, s);
  for (const auto& decoder : kDecoders) {
    if (!decoder(slots, s, i)) continue;
    const bool runs = i.kind == Instruction::Kind::kPlain || i.kind == Instruction::Kind::kGroup;
    if (runs && i.run == nullptr) throw Unsupported("no such instruction of this type");
    return i;
  }
  throw Unsupported("unknown opcode");
}

Instruction decode_or_fail(Slots& slots, const Statement& s, Program& program) {
  try {
    return decode_statement(slots, s);
  } catch (const Unsupported& reason) {
    const std::string at = program.image->module().path + ":" + std::to_string(s.place.line);
    program.unsupported.push_back(at + ": " + reason.what() + ": " + s.text);
    Instruction i = guarded(slots, s);
    i.run = &run_unsupported;
    i.extra = static_cast<std::uint32_t>(program.unsupported.size() - 1);
    return i;
  }
}

}  // namespace

Program decode(const Image& image, const Function& function) {
  Program program;
  program.image = &image;
  program.function = &function;
  Slots slots(image, function, program);
  for (const Statement& s : function.code) {
    program.code.push_back(decode_or_fail(slots, s, program));
  }
  Instruction last;  // a label may stand behind the last statement
  last.kind = Instruction::Kind::kExit;
  program.code.push_back(last);
  return program;
}

}  // namespace varve::ptx
