// A PTX module as it is written: what parser.h reads and decode.h makes runnable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace varve::ptx {

inline constexpr std::uint32_t kNone = ~std::uint32_t{0};

/// A type word such as u32, bf16x2, pred.
struct Type {
  enum class Kind : std::uint8_t {
    kNothing,
    kBits,
    kUnsigned,
    kSigned,
    kFloat,
    kBfloat,
    kPredicate
  };
  Kind kind = Kind::kNothing;
  unsigned bits = 0;   // of one
  unsigned count = 1;  // 2 of packed pairs

  unsigned bytes() const { return bits * count / 8; }
  bool is_float() const { return kind == Kind::kFloat || kind == Kind::kBfloat; }
  bool operator==(const Type&) const = default;
};

/// Of kind kNothing if the word (without its dot) is no type.
Type parse_type(std::string_view word);

/// Where a statement stands: in the PTX, and, if the PTX says so, in the kernel's source.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t source_file = 0;  // key of Module::files
  std::uint32_t source_line = 0;  // 0: unknown
  // Of an inlined function: where it was called.
  std::uint32_t caller_file = 0;
  std::uint32_t caller_line = 0;

  bool operator==(const Place&) const = default;
};

struct Operand {
  enum class Kind : std::uint8_t {
    kRegister,
    kSpecial,  // %tid.x
    kNumber,
    kSymbol,  // variable, parameter, label, function; plus `offset`
    kSink,    // _
    kVector,  // {a, b}: parts
    kAddress  // [parts[0] + offset]
  };
  Kind kind = Kind::kNumber;
  bool negated = false;          // !%p
  std::uint32_t index = kNone;   // of the register
  std::uint32_t second = kNone;  // register after the bar of d|p
  std::uint64_t number = 0;
  std::int64_t offset = 0;
  std::string symbol;
  std::vector<Operand> parts;
};

struct Statement {
  std::vector<std::string> opcode;  // setp.lt.f32 as its three words
  std::uint32_t guard = kNone;      // register
  bool guard_negated = false;
  std::vector<Operand> operands;
  Place place;
  std::string text;

  bool has(std::string_view word) const;
  /// The n-th type among the opcode's words, counted from the end; kNothing if there are fewer.
  Type type(std::size_t from_end = 0) const;
};

enum class Space : std::uint8_t { kGeneric, kGlobal, kConst, kShared, kLocal, kParam };

struct Variable {
  std::string name;
  Space space = Space::kGlobal;
  std::size_t align = 1;
  std::size_t bytes = 0;  // 0: as many as the launch brings (.extern .shared)
  std::vector<unsigned char> initial;
};

struct Function {
  std::string name;
  bool entry = false;
  std::vector<Variable> params;
  std::vector<Variable> results;  // of a .func
  std::vector<Type> registers;
  std::vector<Variable> variables;  // its own .shared and .local, and what its calls pass
  std::vector<Statement> code;
  std::map<std::string, std::uint32_t> labels;             // index of the statement behind it
  std::map<std::string, std::vector<std::string>> tables;  // .branchtargets
};

struct Module {
  std::string path;
  std::string target;  // sm_80
  std::vector<Function> functions;
  std::vector<Variable> variables;
  std::map<std::uint32_t, std::string> files;

  /// nullptr if it has no such entry.
  const Function* find_entry(std::string_view name) const;
};

}  // namespace varve::ptx
