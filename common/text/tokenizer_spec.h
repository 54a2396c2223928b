// What defines a tokenizer, wherever it was read from: a GGUF header (tokenizer_gguf.h) or a
// tokenizer.json (tokenizer_json.h). The steps carry the names and meanings of Hugging Face's
// `tokenizers`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace varve {

using TokenId = std::int32_t;

/// A string to find, or a regular expression in Oniguruma's syntax (regex.h).
struct TextPattern {
  std::string text;
  bool is_regex = false;
};

/// Normalization form C.
struct NfcStep {};
/// Puts `text` before a text that is not empty, unless it continues another.
struct PrependStep {
  std::string text;
};
struct ReplaceStep {
  TextPattern pattern;
  std::string content;
};
using NormalizerStep = std::variant<NfcStep, PrependStep, ReplaceStep>;

/// What becomes of a match when a text is split at the matches of a pattern.
enum class SplitBehavior : std::uint8_t {
  kRemoved,
  kIsolated,            // a piece of its own
  kMergedWithPrevious,  // joins the text before it
  kMergedWithNext,
  kContiguous,  // adjacent matches are one piece
};

struct SplitStep {
  TextPattern pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what does not match is the match
};
/// Splits off numbers (general category N): digit by digit, or in runs.
struct DigitsStep {
  bool individual = false;
};
/// Splits as GPT-2 does (unless !use_regex); the tokens are spelled in its byte alphabet.
struct ByteLevelStep {
  bool add_prefix_space = false;
  bool use_regex = true;
};
/// Writes spaces as `replacement` and puts one in front.
struct MetaspaceStep {
  enum class Prepend : std::uint8_t { kAlways, kFirst, kNever };
  std::string replacement;  // one character
  Prepend prepend = Prepend::kAlways;
  bool split = false;  // before each replacement
};
using PreTokenizerStep = std::variant<SplitStep, DigitsStep, ByteLevelStep, MetaspaceStep>;

/// Two adjacent tokens become one. The lowest rank goes first, among equals the leftmost pair.
struct Merge {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
  std::uint32_t rank = 0;
};

/// A token that is found in the text as it stands, before the text is split into words.
struct AddedToken {
  TokenId id = 0;
  std::string text;
  bool special = true;       // found only where a caller asks for it (EncodeOptions)
  bool normalized = false;   // is searched for in the normalized text
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the spaces before it along
  bool rstrip = false;       // takes the spaces after it along
};

struct TokenizerSpec {
  std::string source;  // for messages: the file
  /// Text per id, as the file spells it.
  std::vector<std::string> tokens;
  std::vector<Merge> merges;
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;

  bool byte_level = false;     // tokens are spelled in GPT-2's byte alphabet; else in characters
  bool byte_fallback = false;  // an unknown character becomes its bytes' tokens <0x00> to <0xFF>
  bool ignore_merges = false;  // a word that is a token as a whole is that token
  bool fuse_unknown = false;   // adjacent unknown characters are one unknown token
  std::optional<TokenId> unknown;
  /// Ids that no text but a special token's may yield (<s>, <0x41>, ...), besides `added`.
  std::vector<TokenId> not_mergeable;
  bool strip_leading_space = false;  // decoding drops the space that encoding put in front

  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::vector<TokenId> stops;  // end of turn, besides eos and the well-known names
  bool add_bos = false;
  std::string chat_template;  // Jinja; empty: none
};

}  // namespace varve
