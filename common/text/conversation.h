// How a conversation is written for a model. A format is a row of one table; a model's own Jinja
// template is recognised by its markers, not interpreted. Rendering gives pieces, so that markers
// become special tokens and what a user wrote never does.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/tokenizer.h"

namespace varve {

enum class Role { kSystem, kUser, kAssistant };

struct Message {
  Role role = Role::kUser;
  std::string text;
};

struct ChatFormat {
  std::string_view name;  // "chatml", "llama3", "mistral", "qwen", "raw"
  /// The conversation, then what makes the model answer. `default_system` stands in where the
  /// messages begin without a system message; empty: none.
  std::vector<Piece> (*render)(std::span<const Message> messages, std::string_view default_system);
  /// Whether a model's Jinja template is this format.
  bool (*recognises)(std::string_view jinja);
};

/// ConfigError that lists the known formats.
const ChatFormat& find_chat_format(std::string_view name);
/// The format of the model's own template; raw if it has none. ConfigError for a template that is
/// not recognised, with the known formats.
const ChatFormat& detect_chat_format(const Tokenizer& tokenizer);
/// The system message that the model's own template puts in where a conversation has none.
std::string default_system_message(std::string_view jinja);

/// One question about one document, split where the document ends: the prefix does not depend on
/// the question, so many questions share it. The user's turn is the document, an empty line, the
/// question. In a row, prefix and suffix are the whole conversation.
struct DocumentPrompt {
  std::vector<Piece> prefix;
  std::vector<Piece> suffix;
};
DocumentPrompt render_document_prompt(const ChatFormat& format, std::string_view system,
                                      std::string_view default_system, std::string_view document,
                                      std::string_view question);

}  // namespace varve
