// Token texts and their ids.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/text/tokenizer_spec.h"

namespace varve {

/// Texts are unique and not empty. Immutable; not copied, because the index views the texts.
class Vocabulary {
 public:
  /// IoError "SOURCE: ..." for no tokens, an empty text or one that stands twice.
  Vocabulary(std::vector<std::string> tokens, const std::string& source);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  std::size_t size() const { return tokens_.size(); }
  const std::string& text(TokenId id) const { return tokens_[static_cast<std::size_t>(id)]; }
  std::optional<TokenId> find(std::string_view text) const;

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, TokenId> ids_;
};

/// Pairs of token texts, best first, as merges. IoError for a part or a result that is no token
/// and for a pair that stands twice.
std::vector<Merge> resolve_merges(
    const std::vector<std::pair<std::string_view, std::string_view>>& pairs,
    const Vocabulary& vocabulary, const std::string& source);

/// "left right" at its one space. IoError names the merge's index.
std::pair<std::string_view, std::string_view> split_merge(std::string_view text, std::size_t index,
                                                          const std::string& source);

/// The merges of a SentencePiece BPE model, which are not listed: two tokens merge if their texts
/// together are one, the highest score first. `mergeable` holds per token whether text may yield
/// it. Scores must be finite.
std::vector<Merge> merges_from_scores(const Vocabulary& vocabulary,
                                      const std::vector<float>& scores,
                                      const std::vector<bool>& mergeable);

}  // namespace varve
