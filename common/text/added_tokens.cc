#include "common/text/added_tokens.h"

#include <utf8proc.h>

#include "common/utf8.h"

namespace varve {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

std::uint64_t key_of(std::uint32_t node, std::uint8_t byte) {
  return (std::uint64_t{node} << 8) | byte;
}

// Letters, marks, digits and connectors: \w.
bool is_word_character(char32_t value) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

CodePoint last_of(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (byte_at(text, begin) & 0xC0) == 0x80) --begin;
  return decode_utf8(text, begin);
}

bool stands_alone(std::string_view before, std::string_view after) {
  return (before.empty() || !is_word_character(last_of(before).value)) &&
         (after.empty() || !is_word_character(decode_utf8(after, 0).value));
}

std::size_t spaces_at_end(std::string_view text) {
  const std::size_t size = text.size();
  while (!text.empty() && is_space(last_of(text).value)) text.remove_suffix(last_of(text).length);
  return size - text.size();
}

std::size_t spaces_at_start(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && is_space(decode_utf8(text, at).value)) {
    at += decode_utf8(text, at).length;
  }
  return at;
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, bool normalized)
    : token_of_{-1}, tokens_(tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].normalized == normalized) add(tokens[i], i);
  }
}

void AddedTokens::add(const AddedToken& token, std::size_t index) {
  starts_[byte_at(token.text, 0)] = true;
  std::uint32_t node = 0;
  for (std::size_t at = 0; at < token.text.size(); ++at) {
    const auto next = static_cast<std::uint32_t>(token_of_.size());
    const auto [child, is_new] = children_.emplace(key_of(node, byte_at(token.text, at)), next);
    if (is_new) token_of_.push_back(-1);
    node = child->second;
  }
  token_of_[node] = static_cast<std::int64_t>(index);
}

const AddedToken* AddedTokens::longest_at(std::string_view text, std::size_t at,
                                          bool special) const {
  const AddedToken* longest = nullptr;
  std::uint32_t node = 0;
  for (std::size_t end = at; end < text.size();) {
    const auto child = children_.find(key_of(node, byte_at(text, end)));
    if (child == children_.end()) break;
    node = child->second;
    ++end;
    if (token_of_[node] < 0) continue;
    const AddedToken& token = tokens_[static_cast<std::size_t>(token_of_[node])];
    if (token.special && !special) continue;
    if (token.single_word && !stands_alone(text.substr(0, at), text.substr(end))) continue;
    longest = &token;
  }
  return longest;
}

void AddedTokens::split(std::string_view text, bool special, const Sink& sink) const {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = starts_[byte_at(text, at)] ? longest_at(text, at, special) : nullptr;
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at + token->text.size();
    if (token->lstrip) begin -= spaces_at_end(text.substr(done, at - done));
    if (token->rstrip) end += spaces_at_start(text.substr(end));
    if (begin > done) sink(text.substr(done, begin - done), std::nullopt);
    sink(text.substr(begin, end - begin), token->id);
    done = at = end;
  }
  if (done < text.size()) sink(text.substr(done), std::nullopt);
}

}  // namespace varve
