#include "tests/cuda_on_cpu/ptx/inline_calls.h"

#include <algorithm>
#include <utility>

namespace varve::ptx {
namespace {

using Kind = Operand::Kind;

constexpr int kMostLevels = 8;

// call{.uni} (results), name, (arguments): each list may be missing.
struct Call {
  std::string name;
  std::vector<Operand> results, arguments;
};

Call read_call(const Statement& s) {
  Call call;
  for (const Operand& operand : s.operands) {
    if (operand.kind == Kind::kSymbol) call.name = operand.symbol;
    if (operand.kind == Kind::kVector) {
      (call.name.empty() ? call.results : call.arguments) = operand.parts;
    }
  }
  return call;
}

// One call: the statements of a function with other registers, labels and parameters.
class Splice {
 public:
  Splice(Function& to, const Function& callee, const Call& call)
      : to_(to),
        callee_(callee),
        first_register_(static_cast<std::uint32_t>(to.registers.size())),
        prefix_("call" + std::to_string(to.code.size()) + "@") {
    pass(callee.params, call.arguments);
    pass(callee.results, call.results);
  }

  void run(const Statement& call) {
    to_.registers.insert(to_.registers.end(), callee_.registers.begin(), callee_.registers.end());
    for (const Variable& variable : callee_.variables) add(variable);
    if (call.guard != kNone) skip_unless(call);
    const auto begin = static_cast<std::uint32_t>(to_.code.size());
    for (const Statement& s : callee_.code) to_.code.push_back(moved(s));
    for (const auto& [name, at] : callee_.labels) to_.labels[prefix_ + name] = begin + at;
    for (const auto& [name, targets] : callee_.tables) {
      for (const std::string& target : targets)
        to_.tables[prefix_ + name].push_back(prefix_ + target);
    }
    to_.labels[end()] = static_cast<std::uint32_t>(to_.code.size());
  }

 private:
  std::string end() const { return prefix_ + "end"; }

  void pass(const std::vector<Variable>& formal, const std::vector<Operand>& actual) {
    for (std::size_t n = 0; n < std::min(formal.size(), actual.size()); ++n) {
      passed_[formal[n].name] = actual[n].symbol;
    }
  }

  // Two calls of one function are never under way at once: they may share its memory.
  void add(const Variable& variable) {
    const bool there = std::ranges::any_of(
        to_.variables, [&](const Variable& v) { return v.name == callee_.name + variable.name; });
    passed_.emplace(variable.name, callee_.name + variable.name);
    if (there) return;
    to_.variables.push_back(variable);
    to_.variables.back().name = callee_.name + variable.name;
  }

  void branch_to_end(Statement& s) const {
    Operand label;
    label.kind = Kind::kSymbol;
    label.symbol = end();
    s.opcode = {"bra"};
    s.operands = {label};
  }

  void skip_unless(const Statement& call) {
    Statement s = call;
    s.guard_negated = !call.guard_negated;
    branch_to_end(s);
    to_.code.push_back(std::move(s));
  }

  Statement moved(Statement s) const {
    if (s.guard != kNone) s.guard += first_register_;
    if (s.opcode[0] == "ret") {
      branch_to_end(s);
      return s;
    }
    bool param = false;
    for (Operand& operand : s.operands) move(operand, param);
    if (param) std::ranges::replace(s.opcode, "param", "local");
    return s;
  }

  void move(Operand& operand, bool& param) const {
    if (operand.index != kNone) operand.index += first_register_;
    if (operand.second != kNone) operand.second += first_register_;
    if (operand.kind == Kind::kSymbol) {
      if (const auto found = passed_.find(operand.symbol); found != passed_.end()) {
        operand.symbol = found->second;
        param = true;
      } else if (callee_.labels.contains(operand.symbol) ||
                 callee_.tables.contains(operand.symbol)) {
        operand.symbol = prefix_ + operand.symbol;
      }
    }
    for (Operand& part : operand.parts) move(part, param);
  }

  Function& to_;
  const Function& callee_;
  std::uint32_t first_register_;
  std::string prefix_;
  std::map<std::string, std::string> passed_;  // the callee's names to the caller's
};

Function expand(const Module& module, const Function& function, int levels) {
  Function out = function;
  out.code.clear();
  std::vector<std::uint32_t> place;  // of each old statement
  for (const Statement& s : function.code) {
    place.push_back(static_cast<std::uint32_t>(out.code.size()));
    const Call call = s.opcode[0] == "call" ? read_call(s) : Call{};
    const auto callee = std::ranges::find_if(
        module.functions, [&](const Function& f) { return !f.entry && f.name == call.name; });
    if (callee == module.functions.end() || levels == 0) {
      out.code.push_back(s);
    } else {
      const Function inlined = expand(module, *callee, levels - 1);
      Splice(out, inlined, call).run(s);
    }
  }
  place.push_back(static_cast<std::uint32_t>(out.code.size()));
  for (const auto& [name, at] : function.labels) out.labels[name] = place[at];
  return out;
}

}  // namespace

Function inline_calls(const Module& module, const Function& function) {
  return expand(module, function, kMostLevels);
}

}  // namespace varve::ptx
