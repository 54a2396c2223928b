#include "common/text/vocabulary.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_set>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/utf8.h"

namespace varve {
namespace {

std::string merge_name(std::size_t index) {
  return fmt::format("merge {}", index);
}

// Per token: its place when scores are sorted from high to low; equal scores share one.
std::vector<std::uint32_t> ranks_of(const std::vector<float>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<std::uint32_t> ranks(scores.size());
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && scores[order[i]] != scores[order[i - 1]]) ++rank;
    ranks[order[i]] = rank;
  }
  return ranks;
}

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> tokens, const std::string& source)
    : tokens_(std::move(tokens)) {
  if (tokens_.empty()) throw IoError(source + ": the vocabulary has no tokens");
  if (tokens_.size() > static_cast<std::size_t>(std::numeric_limits<TokenId>::max())) {
    throw IoError(
        fmt::format("{}: {} tokens are more than ids can number", source, tokens_.size()));
  }
  ids_.reserve(tokens_.size());
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    if (tokens_[id].empty()) throw IoError(fmt::format("{}: token {} is empty", source, id));
    const auto [at, is_new] = ids_.emplace(tokens_[id], static_cast<TokenId>(id));
    if (!is_new) {
      throw IoError(fmt::format("{}: tokens {} and {} are both {}; each text may stand once",
                                source, at->second, id, in_quotes(tokens_[id])));
    }
  }
}

std::optional<TokenId> Vocabulary::find(std::string_view text) const {
  const auto at = ids_.find(text);
  if (at == ids_.end()) return std::nullopt;
  return at->second;
}

std::pair<std::string_view, std::string_view> split_merge(std::string_view text, std::size_t index,
                                                          const std::string& source) {
  const std::size_t space = text.find(' ');
  if (space == text.npos || space == 0 || space + 1 == text.size() ||
      text.find(' ', space + 1) != text.npos) {
    throw IoError(fmt::format("{}: {} is {}; two tokens with one space between would be right",
                              source, merge_name(index), in_quotes(text)));
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<Merge> resolve_merges(
    const std::vector<std::pair<std::string_view, std::string_view>>& pairs,
    const Vocabulary& vocabulary, const std::string& source) {
  std::vector<Merge> merges;
  merges.reserve(pairs.size());
  std::unordered_set<std::uint64_t> seen;
  seen.reserve(pairs.size());
  const auto id_of = [&](std::string_view text) {
    const auto id = vocabulary.find(text);
    if (!id) {
      throw IoError(fmt::format("{}: {} needs the token {}, which the vocabulary lacks", source,
                                merge_name(merges.size()), in_quotes(text)));
    }
    return *id;
  };
  std::string joined;
  for (const auto& [left, right] : pairs) {
    joined.assign(left).append(right);
    const Merge merge{id_of(left), id_of(right), id_of(joined),
                      static_cast<std::uint32_t>(merges.size())};
    if (!seen.insert((std::uint64_t{static_cast<std::uint32_t>(merge.left)} << 32) |
                     static_cast<std::uint32_t>(merge.right))
             .second) {
      throw IoError(fmt::format("{}: {} of {} and {} stands twice", source,
                                merge_name(merges.size()), in_quotes(left), in_quotes(right)));
    }
    merges.push_back(merge);
  }
  return merges;
}

std::vector<Merge> merges_from_scores(const Vocabulary& vocabulary,
                                      const std::vector<float>& scores,
                                      const std::vector<bool>& mergeable) {
  const std::vector<std::uint32_t> ranks = ranks_of(scores);
  std::vector<Merge> merges;
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    if (!mergeable[id]) continue;
    const std::string_view text = vocabulary.text(static_cast<TokenId>(id));
    for (std::size_t cut = decode_utf8(text, 0).length; cut < text.size();
         cut += decode_utf8(text, cut).length) {
      const auto left = vocabulary.find(text.substr(0, cut));
      const auto right = vocabulary.find(text.substr(cut));
      if (!left || !right) continue;
      if (!mergeable[static_cast<std::size_t>(*left)]) continue;
      if (!mergeable[static_cast<std::size_t>(*right)]) continue;
      merges.push_back({*left, *right, static_cast<TokenId>(id), ranks[id]});
    }
  }
  return merges;
}

}  // namespace varve
