// The tokens of a module, one after the other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/cuda_on_cpu/ptx/lexer.h"

namespace varve::ptx {

class TokenStream {
 public:
  TokenStream(std::string_view text, std::string path)
      : tokens_(tokenize(text)), path_(std::move(path)) {}

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token next() {
    const Token token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool at_end() const { return peek().kind == Token::Kind::kEnd; }
  bool next_is(std::string_view what) const { return peek().is(what); }
  bool next_is_label() const { return peek().kind == Token::Kind::kWord && peek(1).is(":"); }
  bool accept(std::string_view what) {
    if (!next_is(what)) return false;
    next();
    return true;
  }
  void expect(std::string_view what) {
    if (!accept(what)) fail("expected '" + std::string(what) + "'");
  }
  std::string word() {
    if (peek().kind != Token::Kind::kWord) fail("expected a word");
    return std::string(next().text);
  }
  std::uint64_t number() {
    if (peek().kind != Token::Kind::kNumber) fail("expected a number");
    return parse_number(next().text);
  }
  /// A number with or without a sign before it.
  std::int64_t signed_number() {
    const bool minus = accept("-");
    const std::uint64_t value = number();
    return static_cast<std::int64_t>(minus ? 0 - value : value);
  }

  void skip_line() {
    for (const std::uint32_t line = peek().line; !at_end() && peek().line == line;) next();
  }
  /// Past the next `what`.
  void skip_past(std::string_view what) {
    while (!at_end() && !accept(what)) next();
  }
  /// From before an opening brace to behind its closing one.
  void skip_braces() {
    for (int depth = 0; !at_end();) {
      const Token token = next();
      depth += token.is("{") ? 1 : token.is("}") ? -1 : 0;
      if (depth == 0) return;
    }
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw std::runtime_error(path_ + ":" + std::to_string(peek().line) + ": " + why + " at '" +
                             std::string(peek().text) + "'");
  }

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::string path_;
};

}  // namespace varve::ptx
