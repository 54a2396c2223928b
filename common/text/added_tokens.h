// Finds added tokens (special ones such as <|im_end|>, and those a user defined) in a text.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/text/tokenizer_spec.h"

namespace varve {

/// Immutable and thread-safe; keeps a reference to the tokens.
class AddedTokens {
 public:
  /// Those of `tokens` that `normalized` asks for. Texts are not empty.
  AddedTokens(const std::vector<AddedToken>& tokens, bool normalized);

  /// Takes a piece of text, or an id that stands there.
  using Sink = std::function<void(std::string_view text, std::optional<TokenId> id)>;

  /// Calls `sink` for the tokens and for what is between, if not empty, from left to right. At each
  /// place the longest token wins. Special ones are found only with `special`.
  void split(std::string_view text, bool special, const Sink& sink) const;

  bool empty() const { return children_.empty(); }

 private:
  const AddedToken* longest_at(std::string_view text, std::size_t at, bool special) const;
  void add(const AddedToken& token, std::size_t index);

  // A trie of bytes: node 0 is the root, a key is (node, byte).
  std::unordered_map<std::uint64_t, std::uint32_t> children_;
  std::vector<std::int64_t> token_of_;  // per node, index into tokens_; -1: none ends here
  const std::vector<AddedToken>& tokens_;
  std::array<bool, 256> starts_{};  // bytes that a token begins with
};

}  // namespace varve
