#include <algorithm>
#include <set>

#include "tests/cuda_on_cpu/ptx/decode.h"

namespace varve::ptx {
namespace {

using Kind = Operand::Kind;

const std::map<std::string, Special> kSpecials = {
    {"%tid.x", Special::kTidX},
    {"%tid.y", Special::kTidY},
    {"%tid.z", Special::kTidZ},
    {"%ntid.x", Special::kNtidX},
    {"%ntid.y", Special::kNtidY},
    {"%ntid.z", Special::kNtidZ},
    {"%ctaid.x", Special::kCtaidX},
    {"%ctaid.y", Special::kCtaidY},
    {"%ctaid.z", Special::kCtaidZ},
    {"%nctaid.x", Special::kNctaidX},
    {"%nctaid.y", Special::kNctaidY},
    {"%nctaid.z", Special::kNctaidZ},
    {"%laneid", Special::kLane},
    {"%warpid", Special::kWarp},
    {"%nwarpid", Special::kWarps},
    {"%lanemask_eq", Special::kMaskEq},
    {"%lanemask_lt", Special::kMaskLt},
    {"%lanemask_le", Special::kMaskLe},
    {"%lanemask_gt", Special::kMaskGt},
    {"%lanemask_ge", Special::kMaskGe},
    {"%dynamic_smem_size", Special::kDynamicShared},
    {"%total_smem_size", Special::kTotalShared},
    {"%smid", Special::kZero},
};

std::size_t rounded_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

void collect_symbols(const std::vector<Operand>& operands, std::set<std::string>& names) {
  for (const Operand& operand : operands) {
    if (operand.kind == Kind::kSymbol) names.insert(operand.symbol);
    collect_symbols(operand.parts, names);
  }
}

std::uint64_t low_bits(std::uint64_t value, unsigned bits) {
  return bits >= 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

}  // namespace

Slots::Slots(const Image& image, const Function& function, Program& program)
    : image_(image), function_(function), program_(program) {
  for (const Type& type : function.registers) {
    registers_.push_back(type.kind == Type::Kind::kPredicate ? program.predicates++
                                                             : fresh(type.bytes() * 8));
  }
  for (const Variable& param : function.params) {
    place(param, program.param_bytes);
    program.param_offsets.push_back(static_cast<std::size_t>(symbols_.at(param.name)));
  }
  for (const Variable& variable : function.variables) {
    place(variable, variable.space == Space::kShared ? program.shared_bytes : program.local_bytes);
  }
  program.local_bytes = rounded_up(program.local_bytes, 16);
  place_shared();
}

void Slots::place(const Variable& variable, std::size_t& bytes) {
  bytes = rounded_up(bytes, variable.align);
  symbols_[variable.name] = bytes;
  bytes += variable.bytes;
}

std::uint32_t Slots::fresh(unsigned bits) {
  return bits == 64 ? program_.longs++ : program_.words++;
}

std::uint32_t Slots::reg(std::uint32_t index, unsigned bits) const {
  const Type& type = function_.registers[index];
  if (type.kind == Type::Kind::kPredicate || (type.bytes() == 8) != (bits == 64)) {
    throw Unsupported("a register of another size than the instruction's");
  }
  return registers_[index];
}

std::uint32_t Slots::predicate(std::uint32_t reg) {
  if (function_.registers[reg].kind != Type::Kind::kPredicate) {
    throw Unsupported("not a predicate");
  }
  return registers_[reg];
}

std::uint32_t Slots::carry() {
  if (carry_ == kNone) carry_ = program_.predicates++;
  return carry_;
}

std::uint32_t Slots::in(const Operand& operand, unsigned bits) {
  switch (operand.kind) {
    case Kind::kRegister:
      return reg(operand.index, bits);
    case Kind::kSpecial:
      return special(operand.symbol, bits);
    case Kind::kNumber:
      return constant(operand.number, bits);
    case Kind::kSymbol:
      return constant(symbol(operand.symbol) + static_cast<std::uint64_t>(operand.offset), bits);
    default:
      throw Unsupported("an operand of another kind");
  }
}

std::uint32_t Slots::out(const Operand& operand, unsigned bits) {
  if (operand.kind == Kind::kSink) return fresh(bits);
  if (operand.kind != Kind::kRegister) throw Unsupported("nothing that can be written");
  return reg(operand.index, bits);
}

std::uint32_t Slots::in_predicate(const Operand& operand) {
  if (operand.kind != Kind::kRegister) throw Unsupported("not a predicate");
  return predicate(operand.index);
}

std::uint32_t Slots::out_predicate(const Operand& operand) {
  if (operand.kind == Kind::kSink) return program_.predicates++;
  return in_predicate(operand);
}

unsigned Slots::bits(const Operand& operand, unsigned otherwise) const {
  if (operand.kind != Kind::kRegister) return otherwise;
  return function_.registers[operand.index].bytes() * 8;
}

void Slots::operands(Instruction& i, const Statement& s, std::initializer_list<unsigned> bits) {
  if (s.operands.size() != bits.size()) throw Unsupported("another number of operands");
  std::size_t n = 0;
  for (const unsigned each : bits) {
    i.slot[n] = n == 0 ? out(s.operands[n], each) : in(s.operands[n], each);
    ++n;
  }
}

void Slots::address(Instruction& i, std::size_t n, const Operand& operand) {
  if (operand.kind != Kind::kAddress) throw Unsupported("not an address");
  const Operand& base = operand.parts[0];
  i.wide[n] = bits(base, 64) == 64;
  i.slot[i.slot.size() - 1 - n] = in(base, i.wide[n] ? 64 : 32);
  i.offset[n] = operand.offset;
}

std::uint64_t Slots::number(const Operand& operand) {
  if (operand.kind != Kind::kNumber) throw Unsupported("not a number");
  return operand.number;
}

std::uint32_t Slots::label(const std::string& name) const {
  const auto found = function_.labels.find(name);
  if (found == function_.labels.end()) throw Unsupported("unknown label " + name);
  return found->second;
}

const std::vector<std::string>& Slots::table(const std::string& name) const {
  const auto found = function_.tables.find(name);
  if (found == function_.tables.end()) throw Unsupported("unknown table " + name);
  return found->second;
}

std::uint32_t Slots::constant(std::uint64_t value, unsigned bits) {
  value = low_bits(value, bits);
  const auto [entry, added] = constants_.try_emplace({value, bits == 64});
  if (added) {
    entry->second = fresh(bits);
    program_.constants.push_back({entry->second, bits == 64, value});
  }
  return entry->second;
}

std::uint32_t Slots::special(const std::string& name, unsigned bits) {
  if (name == "%clock64" || name == "%globaltimer") return constant(0, 64);
  const auto known = kSpecials.find(name);
  if (known == kSpecials.end()) throw Unsupported("unknown special register " + name);
  if (bits != 32) throw Unsupported("a special register of 64 bits");
  const auto [entry, added] = specials_.try_emplace(name);
  if (added) {
    entry->second = fresh(32);
    program_.specials.push_back({entry->second, known->second});
  }
  return entry->second;
}

std::uint64_t Slots::symbol(const std::string& name) const {
  if (const auto known = symbols_.find(name); known != symbols_.end()) return known->second;
  const auto& variables = image_.module().variables;
  const auto found =
      std::ranges::find_if(variables, [&](const Variable& v) { return v.name == name; });
  if (found == variables.end()) throw Unsupported("unknown symbol " + name);
  return image_.address(*found);
}

// Shared variables of the module lie in a kernel's block only if the kernel names them; those
// without a size all begin where the others end.
void Slots::place_shared() {
  std::set<std::string> named;
  for (const Statement& s : function_.code) collect_symbols(s.operands, named);
  std::size_t alignment = 16;
  std::vector<std::string> dynamic;
  for (const Variable& v : image_.module().variables) {
    if (v.space != Space::kShared || !named.contains(v.name)) continue;
    if (v.bytes != 0) {
      place(v, program_.shared_bytes);
    } else {
      dynamic.push_back(v.name);
      alignment = std::max(alignment, v.align);
    }
  }
  program_.dynamic_at = rounded_up(program_.shared_bytes, alignment);
  for (const std::string& name : dynamic) symbols_[name] = program_.dynamic_at;
}

}  // namespace varve::ptx
