// Runs a few lines of PTX in every lane of a warp.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/kernel_error.h"
#include "tests/cuda_on_cpu/ptx/image.h"
#include "tests/cuda_on_cpu/ptx/parser.h"
#include "tests/cuda_on_cpu/ptx/run.h"

namespace varve::ptx {

/// A kernel named k with the parameters `out` and `in` (pointers, in %rd0 and %rd1) and these
/// lines. There are registers %p %h %r %f %rd %d of the usual types, 40 of each; %r0 is the thread.
inline std::string kernel_around(const std::string& lines, const std::string& before = "") {
  return ".version 9.0\n.target sm_80\n.address_size 64\n" + before +
         ".visible .entry k(.param .u64 out, .param .u64 in)\n{\n"
         ".reg .pred %p<40>;\n.reg .b16 %h<40>;\n.reg .b32 %r<40>;\n.reg .f32 %f<40>;\n"
         ".reg .b64 %rd<40>;\n.reg .f64 %d<40>;\n"
         "ld.param.u64 %rd0, [out];\nld.param.u64 %rd1, [in];\nmov.u32 %r0, %tid.x;\n" +
         lines + "\nret;\n}\n";
}

struct Threads {
  Extent blocks = {1, 1, 1};
  Extent threads = {32, 1, 1};
  std::size_t shared = 0;
};

/// Runs the kernel k of a PTX text.
inline void run_text(const std::string& text, void* out, const void* in, const Threads& how = {},
                     const Options& options = {}) {
  Image image(parse_module(text, "snippet.ptx"));
  const Program& program = *image.find("k");
  for (const std::string& line : program.unsupported) throw KernelError("unsupported: " + line);
  const std::array<Argument, 2> arguments{{{&out, sizeof out}, {&in, sizeof in}}};
  run_grid(program, {how.blocks, how.threads, how.shared}, arguments, options);
}

/// What a KernelError of the kernel says; empty if there is none.
inline std::string error_of(const std::string& text, const Threads& how = {},
                            const Options& options = {}) {
  std::vector<std::uint64_t> memory(1 << 16);
  try {
    run_text(text, memory.data(), memory.data(), how, options);
  } catch (const KernelError& error) {
    return error.what();
  }
  return {};
}

/// The result of one instruction, such as "add.s32" of 2 and 3: its type is that of the registers,
/// of which the letters are given (h, r, f, rd, d), the result's first. All values as bits.
inline std::uint64_t compute(const std::string& opcode, const std::vector<std::string>& letters,
                             const std::vector<std::uint64_t>& values) {
  const auto type = [](const std::string& letter) {
    return std::string(letter == "h" ? "b16" : letter == "r" || letter == "f" ? "b32" : "b64");
  };
  std::string lines;
  std::string operands = "%" + letters[0] + "10";
  for (std::size_t n = 1; n < letters.size(); ++n) {
    const std::string name = "%" + letters[n] + std::to_string(10 + n);
    lines += "ld.global." + type(letters[n]) + " " + name + ", [%rd1+" +
             std::to_string(8 * (n - 1)) + "];\n";
    operands += ", " + name;
  }
  lines += opcode + " " + operands + ";\nst.global." + type(letters[0]) + " [%rd0], %" +
           letters[0] + "10;\n";
  std::uint64_t result = 0;
  run_text(kernel_around(lines), &result, values.data());
  return result;
}

inline std::uint64_t bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
inline std::uint64_t bits(double value) {
  return std::bit_cast<std::uint64_t>(value);
}
inline float as_float(std::uint64_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value));
}

}  // namespace varve::ptx
