// Text to token ids and back. Ids are those of Hugging Face's `tokenizers` and, for GGUF files, of
// llama.cpp.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/tokenizer_spec.h"

namespace varve {

/// A part of a prompt. Special: the text of a special token such as <|im_end|>; where the
/// vocabulary has no such token, it is text like any other.
struct Piece {
  std::string text;
  bool special = false;

  bool operator==(const Piece&) const = default;
};

struct EncodeOptions {
  /// Whether a beginning-of-sequence token comes first; as the model's files say if absent. It is
  /// not put before one that stands there already. The model must have one.
  std::optional<bool> add_bos;
  /// Whether special tokens are recognised in the text. Text that a user wrote must not be parsed:
  /// it could end the turn. Tokens that are not special but added by a user always are.
  bool parse_special = false;
  /// The text goes on where another, encoded before, ended: no beginning-of-sequence token and no
  /// space in front.
  bool continues = false;
};

/// Immutable and thread-safe.
class Tokenizer {
 public:
  /// IoError, beginning with spec.source, for a vocabulary that contradicts itself.
  explicit Tokenizer(TokenizerSpec spec);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Any bytes: what is not UTF-8 counts as U+FFFD (utf8.h). A byte that the vocabulary cannot
  /// express and that has no unknown token is dropped, as in `tokenizers`. IoError if a pattern of
  /// the model's files needs too many steps on this text.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The ids of the pieces' texts in a row; only pieces marked special are parsed
  /// (options.parse_special has no effect).
  std::vector<TokenId> encode(std::span<const Piece> pieces,
                              const EncodeOptions& options = {}) const;

  /// Valid UTF-8; what the bytes lack for it becomes U+FFFD. Special tokens yield no text unless
  /// `keep_special`. An id at or above size() yields none: models pad their vocabularies.
  std::string decode(std::span<const TokenId> ids, bool keep_special = false) const;

  /// What decoding one token yields, which may be a part of a character.
  std::string_view token_bytes(TokenId id) const;
  /// Control tokens, the unknown token and the like.
  bool is_special(TokenId id) const;
  /// The special token of that text.
  std::optional<TokenId> find_special(std::string_view text) const;

  std::size_t size() const;
  std::optional<TokenId> bos() const;
  std::optional<TokenId> eos() const;
  bool adds_bos() const;
  /// Whether decoding drops the space that encoding puts in front of a text.
  bool strips_leading_space() const;
  /// Tokens that end an answer, sorted: eos and those that end a turn of a chat.
  const std::vector<TokenId>& stops() const;
  bool is_stop(TokenId id) const;
  /// The model's own chat template, in Jinja; empty: none.
  const std::string& chat_template() const;
  /// The file it came from, for messages.
  const std::string& source() const;

 private:
  std::vector<TokenId> with_bos(std::vector<TokenId> ids, const EncodeOptions& options) const;

  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// Decodes an answer as it comes. What add() and flush() return, in a row, is what
/// Tokenizer::decode makes of all the ids.
class IncrementalDecoder {
 public:
  /// `tokenizer` must outlive this.
  explicit IncrementalDecoder(const Tokenizer& tokenizer, bool keep_special = false)
      : tokenizer_(&tokenizer), keep_special_(keep_special) {}

  /// The text that `id` completes: whole characters, or nothing.
  std::string add(TokenId id);
  /// What remains of a character that was never completed.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  bool keep_special_;
  bool begun_ = false;
  std::string pending_;  // the beginning of a character
};

}  // namespace varve
