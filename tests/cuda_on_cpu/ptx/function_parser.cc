#include "tests/cuda_on_cpu/ptx/function_parser.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <functional>
#include <utility>

namespace varve::ptx {
namespace {

using Kind = Operand::Kind;

// With single blanks.
std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!blank || !line.ends_with(' ')) line += blank ? ' ' : c;
  }
  return line;
}

class BodyParser {
 public:
  BodyParser(TokenStream& tokens, Function& function) : tokens_(tokens), function_(function) {}

  void run() {
    do {
      item();
    } while (!scopes_.empty());
  }

 private:
  struct Scope {
    std::map<std::string, std::uint32_t, std::less<>> registers;
    std::map<std::string, std::string, std::less<>> call_params;  // to a name of their own
  };

  void item() {
    if (tokens_.at_end()) tokens_.fail("the function does not end");
    if (tokens_.accept("{")) {
      scopes_.emplace_back();
    } else if (tokens_.accept("}")) {
      scopes_.pop_back();
    } else if (tokens_.next_is_label()) {
      label();
    } else if (tokens_.peek().text.starts_with('.')) {
      directive();
    } else if (!tokens_.accept(";")) {
      statement();
    }
  }

  void label() {
    const std::string name = tokens_.word();
    tokens_.expect(":");
    if (tokens_.accept(".branchtargets")) {
      auto& targets = function_.tables[name];
      do targets.push_back(tokens_.word());
      while (tokens_.accept(","));
      return tokens_.expect(";");
    }
    const auto here = static_cast<std::uint32_t>(function_.code.size());
    if (!function_.labels.emplace(name, here).second) tokens_.fail("second label " + name);
  }

  void directive() {
    const std::string_view word = tokens_.peek().text;
    if (word == ".loc") return location();
    const Token begin = tokens_.next();
    if (begin.is(".reg")) {
      registers();
    } else if (begin.is(".shared") || begin.is(".local")) {
      function_.variables.push_back(
          parse_variable(tokens_, begin.is(".shared") ? Space::kShared : Space::kLocal));
      tokens_.expect(";");
    } else if (begin.is(".param")) {
      call_param();
    } else {
      tokens_.skip_past(";");  // .pragma, .callprototype
    }
  }

  // What a call passes: memory of the thread. Every call's are of the same names.
  void call_param() {
    Variable v = parse_variable(tokens_, Space::kLocal);
    tokens_.expect(";");
    const std::string name = v.name + "@" + std::to_string(function_.variables.size());
    scopes_.back().call_params[std::exchange(v.name, name)] = name;
    function_.variables.push_back(std::move(v));
  }

  // .loc FILE LINE COLUMN[, function_name NAME, inlined_at FILE LINE COLUMN]
  void location() {
    const std::uint32_t line = tokens_.next().line;
    place_ = {};
    place_.source_file = static_cast<std::uint32_t>(tokens_.number());
    place_.source_line = static_cast<std::uint32_t>(tokens_.number());
    while (!tokens_.at_end() && tokens_.peek().line == line) {
      if (tokens_.next().text != "inlined_at") continue;
      place_.caller_file = static_cast<std::uint32_t>(tokens_.number());
      place_.caller_line = static_cast<std::uint32_t>(tokens_.number());
    }
  }

  void registers() {
    const Type type = parse_type(tokens_.word().substr(1));
    if (type.kind == Type::Kind::kNothing || type.bits > 64) tokens_.fail("unknown register type");
    do {
      const std::string name = tokens_.word();
      if (tokens_.accept("<")) {
        const std::uint64_t count = tokens_.number();
        tokens_.expect(">");
        for (std::uint64_t i = 0; i < count; ++i) declare(name + std::to_string(i), type);
      } else {
        declare(name, type);
      }
    } while (tokens_.accept(","));
    tokens_.expect(";");
  }

  void declare(const std::string& name, Type type) {
    scopes_.back().registers[name] = static_cast<std::uint32_t>(function_.registers.size());
    function_.registers.push_back(type);
  }

  std::uint32_t find_register(std::string_view name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      const auto found = scope->registers.find(name);
      if (found != scope->registers.end()) return found->second;
    }
    return kNone;
  }

  // The own name of what a call passes; any other name as it is.
  std::string symbol(const std::string& name) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      const auto found = scope->call_params.find(name);
      if (found != scope->call_params.end()) {
        passes_param_ = true;
        return found->second;
      }
    }
    return name;
  }

  std::uint32_t known_register() {
    const std::uint32_t found = find_register(tokens_.peek().text);
    if (found == kNone) tokens_.fail("unknown register");
    tokens_.next();
    return found;
  }

  void statement() {
    Statement s;
    place_.line = tokens_.peek().line;
    s.place = place_;
    passes_param_ = false;
    const char* const begin = tokens_.peek().text.data();
    if (tokens_.accept("@")) {
      s.guard_negated = tokens_.accept("!");
      s.guard = known_register();
    }
    opcode(s, tokens_.word());
    if (!tokens_.next_is(";")) {
      do s.operands.push_back(operand());
      while (tokens_.accept(","));
    }
    s.text = on_one_line({begin, tokens_.peek().text.data()});
    tokens_.expect(";");
    if (passes_param_) std::ranges::replace(s.opcode, "param", "local");
    function_.code.push_back(std::move(s));
  }

  static void opcode(Statement& s, std::string_view words) {
    while (!words.empty()) {
      const std::size_t dot = std::min(words.find('.'), words.size());
      s.opcode.emplace_back(words.substr(0, dot));
      words.remove_prefix(std::min(dot + 1, words.size()));
    }
  }

  Operand operand() {
    if (tokens_.accept("{")) return list("}");
    if (tokens_.accept("(")) return list(")");
    if (tokens_.accept("[")) return address();
    if (tokens_.accept("!")) {
      Operand o = name();
      o.negated = true;
      return o;
    }
    if (tokens_.next_is("-") || tokens_.peek().kind == Token::Kind::kNumber) {
      Operand o;
      o.number = static_cast<std::uint64_t>(tokens_.signed_number());
      return o;
    }
    return name();
  }

  Operand list(std::string_view closing) {
    Operand o;
    o.kind = Kind::kVector;
    while (!tokens_.next_is(closing)) {
      o.parts.push_back(operand());
      if (!tokens_.accept(",")) break;
    }
    tokens_.expect(closing);
    return o;
  }

  Operand address() {
    Operand o;
    o.kind = Kind::kAddress;
    o.parts.push_back(operand());
    o.offset = std::exchange(o.parts[0].offset, 0);
    tokens_.expect("]");
    return o;
  }

  // A register, special register or symbol; +offset or |second behind it.
  Operand name() {
    Operand o;
    o.symbol = tokens_.word();
    o.index = find_register(o.symbol);
    o.kind = o.index != kNone            ? Kind::kRegister
             : o.symbol == "_"           ? Kind::kSink
             : o.symbol.starts_with('%') ? Kind::kSpecial
                                         : Kind::kSymbol;
    if (o.kind == Kind::kSymbol) o.symbol = symbol(o.symbol);
    if (tokens_.accept("|")) {
      if (!tokens_.accept("_")) o.second = known_register();
    } else if (tokens_.accept("+")) {
      o.offset = tokens_.signed_number();
    }
    return o;
  }

  TokenStream& tokens_;
  Function& function_;
  std::vector<Scope> scopes_;
  bool passes_param_ = false;  // the statement names what a call passes
  Place place_;
};

void append(std::vector<unsigned char>& bytes, std::uint64_t value, unsigned size) {
  const std::size_t at = bytes.size();
  bytes.resize(at + size);
  std::memcpy(bytes.data() + at, &value, size);
}

std::vector<unsigned char> initializer(TokenStream& tokens, Type type) {
  std::vector<unsigned char> bytes;
  int depth = 0;
  do {
    while (tokens.accept("{")) ++depth;
    append(bytes, static_cast<std::uint64_t>(tokens.signed_number()), type.bytes());
    while (depth > 0 && tokens.accept("}")) --depth;
  } while (tokens.accept(","));
  return bytes;
}

}  // namespace

Variable parse_variable(TokenStream& tokens, Space space) {
  Variable v;
  v.space = space;
  Type type;
  while (tokens.peek().text.starts_with('.')) {
    const std::string word = tokens.word();
    if (word == ".align") {
      v.align = tokens.number();
    } else if (word == ".ptr") {  // of a parameter: what it points to
      while (tokens.peek().text.starts_with('.')) {
        if (tokens.word() == ".align") tokens.number();
      }
    } else if (type = parse_type(word.substr(1)); type.kind == Type::Kind::kNothing) {
      if (word != ".attribute") tokens.fail("unknown type " + word);
      tokens.skip_past(")");
    }
  }
  v.name = tokens.word();
  v.align = std::max<std::size_t>(v.align, type.bytes());
  v.bytes = type.bytes();
  while (tokens.accept("[")) {
    v.bytes = tokens.next_is("]") ? 0 : v.bytes * tokens.number();
    tokens.expect("]");
  }
  if (tokens.accept("=")) v.initial = initializer(tokens, type);
  return v;
}

void parse_body(TokenStream& tokens, Function& function) {
  BodyParser(tokens, function).run();
}

}  // namespace varve::ptx
