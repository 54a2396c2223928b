// From Oniguruma's syntax to PCRE2's.
#include <algorithm>
#include <cctype>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/text/regex.h"
#include "common/text/unicode_versions.h"

namespace varve {
namespace {

constexpr std::string_view kWordClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
// Escapes that mean the same to both, as a class or as one character.
constexpr std::string_view kSameEscapes = "dDnrtfaex0bBAzZ";

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      if (take("\\")) {
        escape();
      } else if (in_class_) {
        class_character();
      } else {
        character();
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw IoError(
        fmt::format("{}: the regular expression {} has {}, which varve does not translate to PCRE2",
                    where_, in_quotes(pattern_), what));
  }

  bool take(std::string_view text) {
    if (pattern_.substr(at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }

  void copy() { out_ += pattern_[at_++]; }

  void character() {
    if (take("(*")) refuse("a verb (*");
    if (take("(?")) return group();
    if (!take("[")) return copy();
    in_class_ = true;
    out_ += '[';
    if (take("^")) out_ += '^';
    if (take("]")) out_ += "\\]";
  }

  // Options mean other things in the two syntaxes, but for i and x.
  void group() {
    out_ += "(?";
    if (take("C")) refuse("a callout (?C)");
    while (at_ < pattern_.size() && (std::isalpha(pattern_[at_]) || pattern_[at_] == '-')) {
      const char option = pattern_[at_];
      if (option != 'i' && option != 'x' && option != '-') {
        refuse(fmt::format("the group option {}", in_quotes(std::string(1, option))));
      }
      copy();
    }
  }

  void class_character() {
    if (pattern_.substr(at_, 2) == "&&") refuse("&& in a class");
    if (pattern_.substr(at_, 2) == "[:") return posix_class();
    if (pattern_[at_] == '[') refuse("a class in a class");
    if (pattern_[at_] == ']') in_class_ = false;
    copy();
  }

  void posix_class() {
    const std::size_t end = pattern_.find(":]", at_);
    if (end == pattern_.npos) refuse("[: without :]");
    out_ += pattern_.substr(at_, end + 2 - at_);
    at_ = end + 2;
  }

  void escape() {
    if (at_ == pattern_.size()) refuse("a \\ at its end");
    const char c = pattern_[at_];
    if (c == 'p' || c == 'P') return property();
    ++at_;
    if (c == 's') return members(R"(\p{White_Space})", false);
    if (c == 'S') return members(R"(\p{White_Space})", true);
    if (c == 'w') return members(kWordClass, false);
    if (c == 'W') return members(kWordClass, true);
    if (c == 'v') return void(out_ += "\\x0B");
    if (c == 'u') return code_unit();
    if (std::isalpha(static_cast<unsigned char>(c)) && kSameEscapes.find(c) == kSameEscapes.npos) {
      refuse(fmt::format("the escape {}", in_quotes(std::string("\\") + c)));
    }
    (out_ += '\\') += c;
  }

  void code_unit() {
    const std::string_view digits = pattern_.substr(at_, 4);
    if (digits.size() != 4 || !std::all_of(digits.begin(), digits.end(), [](unsigned char digit) {
          return std::isxdigit(digit);
        })) {
      refuse("\\u without four hexadecimal digits");
    }
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ += 4;
  }

  void property() {
    bool negated = pattern_[at_++] == 'P';
    const std::size_t end = pattern_.find('}', at_);
    if (!take("{") || end == pattern_.npos) refuse("\\p without {}");
    if (take("^")) negated = !negated;
    const std::string name(pattern_.substr(at_, end - at_));
    at_ = end + 1;
    const bool letters = name == "L" || name == "Letter";
    const bool numbers = name == "N" || name == "Number";
    if (letters) return members(std::string("\\p{L}").append(kNewerLetters), negated);
    if (numbers) return members(std::string("\\p{N}").append(kNewerNumbers), negated);
    out_ += fmt::format("\\{}{{{}}}", negated ? 'P' : 'p', name);
  }

  // A set of characters, as part of the class that is open or as one of its own.
  void members(std::string_view set, bool negated) {
    if (!in_class_) {
      ((out_ += negated ? "[^" : "[") += set) += ']';
    } else if (!negated) {
      out_ += set;
    } else if (set == R"(\p{White_Space})") {
      out_ += R"(\P{White_Space})";
    } else {
      refuse("a negated class in a class");
    }
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

std::string to_pcre2(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

}  // namespace varve
