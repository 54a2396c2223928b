// How a conversation is written for a model. Each template is a row of a table; a model's own
// template, which is a program in Jinja, is recognised by what it contains and never run.
//
// A rendering is a list of pieces (tokenizer.h): markers are special, what a user or a document
// says is not, so that no text can end its own turn.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/tokenizer.h"

namespace varve {

struct ChatMessage {
  std::string role;  // "system" (the first alone), "user" or "assistant"
  std::string content;
};

/// What recognising a template may ask about a vocabulary.
struct TemplateTokens {
  std::string bos;  // text of the token; empty: none
  std::string eos;
  /// Whether a special token has that text.
  std::function<bool(std::string_view)> has_special;
};
/// Refers to `tokenizer`.
TemplateTokens template_tokens(const Tokenizer& tokenizer);

struct PromptTemplateRow;

/// Immutable.
class PromptTemplate {
 public:
  /// The template that `jinja` amounts to; if that is empty, the one that the vocabulary's special
  /// tokens suggest. ConfigError that lists the known if there is none: a guess would be answered
  /// by nonsense.
  static PromptTemplate detect(std::string_view jinja, const TemplateTokens& tokens);

  /// "auto" (as detect), "chatml", "llama3", "mistral", "qwen" or "raw"; of a family's variants the
  /// one that the model's own template or vocabulary suggests. ConfigError for another name.
  static PromptTemplate named(std::string_view name, std::string_view jinja,
                              const TemplateTokens& tokens);
  static PromptTemplate named(std::string_view name, const Tokenizer& tokenizer);

  /// "chatml", "llama3", "mistral", "qwen", "raw".
  std::string_view family() const;
  /// Of the row: "mistral-v3".
  std::string_view name() const;
  /// What the model's own template puts where no system message is given; empty: nothing.
  const std::string& default_system() const { return default_system_; }

 private:
  friend class PromptWriter;
  PromptTemplate(const PromptTemplateRow& row, std::string_view jinja,
                 const TemplateTokens& tokens);

  const PromptTemplateRow* row_;
  std::string bos_;  // empty: the template does not write it
  std::string eos_;
  std::string default_system_;
  bool strips_thinking_ = false;
};

/// The conversation, and with `add_generation_prompt` the header of the answer to come. Without a
/// system message, the default one. Of earlier answers, what stands behind their </think> where the
/// model has such. ConfigError for an unknown role, a system message that is not
/// the first, or roles that do not alternate where the template wants it.
std::vector<Piece> render_chat(const PromptTemplate& prompt_template,
                               std::span<const ChatMessage> messages, bool add_generation_prompt);

/// One user message, the document, a blank line, and the question, cut behind the document: the
/// prefix does not depend on the question, so its keys and values serve all questions.
struct DocumentPrompt {
  std::vector<Piece> prefix;
  std::vector<Piece> suffix;
};

/// Encode the prefix as the beginning of a text, the suffix with EncodeOptions::continues. An empty
/// `system` is none: the default one is written. Spaces around the message are dropped where the
/// template does so.
DocumentPrompt render_document_prompt(const PromptTemplate& prompt_template,
                                      std::string_view system, std::string_view document,
                                      std::string_view question);

/// The texts of the pieces in a row.
std::string text_of(std::span<const Piece> pieces);

}  // namespace varve
