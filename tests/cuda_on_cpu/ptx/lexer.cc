#include "tests/cuda_on_cpu/ptx/lexer.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>

namespace varve::ptx {
namespace {

bool is_letter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' ||
         c == '.';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    while (skip_blanks()) tokens.push_back(next());
    tokens.push_back({Token::Kind::kEnd, {}, line_});
    return tokens;
  }

 private:
  bool starts(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  // Past blanks and comments; false at the end.
  bool skip_blanks() {
    while (at_ < text_.size()) {
      if (starts("//")) {
        skip_to(text_.find('\n', at_));
      } else if (starts("/*")) {
        skip_to(text_.find("*/", at_));
        skip_to(at_ + 2);
      } else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        skip_to(at_ + 1);
      } else {
        return true;
      }
    }
    return false;
  }

  void skip_to(std::size_t end) {
    for (; at_ < end && at_ < text_.size(); ++at_) line_ += text_[at_] == '\n' ? 1 : 0;
  }

  Token next() {
    if (text_[at_] == '"') return quoted();
    const std::size_t begin = at_;
    // Qualifiers such as .L2::128B are one word with their opcode; a label's colon is not.
    while (at_ < text_.size() && (is_letter(text_[at_]) || (at_ > begin && starts("::")))) {
      at_ += text_[at_] == ':' ? 2 : 1;
    }
    if (at_ == begin) return {Token::Kind::kMark, text_.substr(at_++, 1), line_};
    const bool digit = std::isdigit(static_cast<unsigned char>(text_[begin])) != 0;
    return {digit ? Token::Kind::kNumber : Token::Kind::kWord, text_.substr(begin, at_ - begin),
            line_};
  }

  Token quoted() {
    const std::size_t begin = at_ + 1;
    const std::size_t end = std::min(text_.find('"', begin), text_.size());
    const std::uint32_t line = line_;
    skip_to(end + 1);
    return {Token::Kind::kText, text_.substr(begin, end - begin), line};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace

std::vector<Token> tokenize(std::string_view text) {
  return Lexer(text).run();
}

std::uint64_t parse_number(std::string_view text) {
  const std::string whole(text);
  int base = 10;
  if (text.ends_with('U')) text.remove_suffix(1);
  if (text.size() > 2 && text[0] == '0' && std::isalpha(static_cast<unsigned char>(text[1])) != 0) {
    const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(text[1])));
    base = kind == 'b' ? 2 : kind == 'x' || kind == 'f' || kind == 'd' ? 16 : 0;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
  }
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  if (base == 0 || std::from_chars(text.data(), end, value, base).ptr != end) {
    throw std::invalid_argument("not a number of PTX: " + whole);
  }
  return value;
}

}  // namespace varve::ptx
