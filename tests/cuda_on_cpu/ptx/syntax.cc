#include "tests/cuda_on_cpu/ptx/syntax.h"

#include <algorithm>
#include <charconv>

namespace varve::ptx {

Type parse_type(std::string_view word) {
  if (word == "pred") return {Type::Kind::kPredicate, 1, 1};
  Type type;
  if (word.ends_with("x2")) {
    type.count = 2;
    word.remove_suffix(2);
  }
  static constexpr std::array<std::pair<std::string_view, Type::Kind>, 5> kKinds{{
      {"bf", Type::Kind::kBfloat},
      {"f", Type::Kind::kFloat},
      {"b", Type::Kind::kBits},
      {"u", Type::Kind::kUnsigned},
      {"s", Type::Kind::kSigned},
  }};
  const auto* const kind = std::ranges::find_if(
      kKinds, [&](const auto& entry) { return word.starts_with(entry.first); });
  if (kind == kKinds.end()) return {};
  word.remove_prefix(kind->first.size());
  const char* const end = word.data() + word.size();
  if (std::from_chars(word.data(), end, type.bits).ptr != end) return {};
  if (type.bits < 8 || type.bits > 128 || (type.bits & (type.bits - 1)) != 0) return {};
  type.kind = kind->second;
  return type;
}

bool Statement::has(std::string_view word) const {
  return std::ranges::find(opcode, word) != opcode.end();
}

Type Statement::type(std::size_t from_end) const {
  for (auto word = opcode.rbegin(); word != opcode.rend(); ++word) {
    const Type type = parse_type(*word);
    if (type.kind != Type::Kind::kNothing && from_end-- == 0) return type;
  }
  return {};
}

const Function* Module::find_entry(std::string_view name) const {
  const auto found = std::ranges::find_if(
      functions, [&](const Function& function) { return function.entry && function.name == name; });
  return found == functions.end() ? nullptr : &*found;
}

}  // namespace varve::ptx
