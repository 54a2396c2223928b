// Makes a function of a module runnable. A statement that nobody here knows becomes an instruction
// that fails when it is run, and a line of Program::unsupported.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/cuda_on_cpu/ptx/image.h"
#include "tests/cuda_on_cpu/ptx/program.h"

namespace varve::ptx {

Program decode(const Image& image, const Function& function);

/// What decoders of opcodes throw at a form that they do not know.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Gives out slots while the instructions of one function are decoded.
class Slots {
 public:
  Slots(const Image& image, const Function& function, Program& program);

  /// The slot of a value of so many bits that is read or written; a number becomes a constant.
  std::uint32_t in(const Operand& operand, unsigned bits);
  std::uint32_t out(const Operand& operand, unsigned bits);
  std::uint32_t in_predicate(const Operand& operand);
  std::uint32_t out_predicate(const Operand& operand);
  std::uint32_t predicate(std::uint32_t reg);
  /// The predicate that holds carries from one addition to the next.
  std::uint32_t carry();
  /// Bits of the operand's register; of anything else, `otherwise`.
  unsigned bits(const Operand& operand, unsigned otherwise) const;

  /// Operand 0 is written, the others are read; their bits as listed. Unsupported if the statement
  /// has another number of operands.
  void operands(Instruction& i, const Statement& s, std::initializer_list<unsigned> bits);
  /// Address number n of the instruction.
  void address(Instruction& i, std::size_t n, const Operand& operand);
  /// A number that must be known now.
  static std::uint64_t number(const Operand& operand);
  std::uint32_t label(const std::string& name) const;
  const std::vector<std::string>& table(const std::string& name) const;

  std::uint32_t constant(std::uint64_t value, unsigned bits);

 private:
  std::uint32_t reg(std::uint32_t index, unsigned bits) const;
  std::uint32_t special(const std::string& name, unsigned bits);
  std::uint64_t symbol(const std::string& name) const;
  std::uint32_t fresh(unsigned bits);
  void place(const Variable& variable, std::size_t& bytes);
  void place_shared();

  const Image& image_;
  const Function& function_;
  Program& program_;
  std::vector<std::uint32_t> registers_;
  std::uint32_t carry_ = kNone;
  std::map<std::string, std::uint64_t> symbols_;
  std::map<std::string, std::uint32_t> specials_;
  std::map<std::pair<std::uint64_t, bool>, std::uint32_t> constants_;
};

// Each fills in the instruction if the opcode is one of its own.
bool decode_carry(Slots& slots, const Statement& s, Instruction& i);
bool decode_integer(Slots& slots, const Statement& s, Instruction& i);
bool decode_bits(Slots& slots, const Statement& s, Instruction& i);
bool decode_float(Slots& slots, const Statement& s, Instruction& i);
bool decode_half(Slots& slots, const Statement& s, Instruction& i);
bool decode_compare(Slots& slots, const Statement& s, Instruction& i);
bool decode_convert(Slots& slots, const Statement& s, Instruction& i);
bool decode_move(Slots& slots, const Statement& s, Instruction& i);
bool decode_memory(Slots& slots, const Statement& s, Instruction& i);
bool decode_atomic(Slots& slots, const Statement& s, Instruction& i);
bool decode_copy(Slots& slots, const Statement& s, Instruction& i);
bool decode_group(Slots& slots, const Statement& s, Instruction& i);
bool decode_matrix(Slots& slots, const Statement& s, Instruction& i);
bool decode_control(Slots& slots, const Statement& s, Instruction& i);

}  // namespace varve::ptx
