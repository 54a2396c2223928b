#include "common/text/chat_template.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/text/chat_template_table.h"
#include "common/utf8.h"

namespace varve {
namespace {

using System = PromptTemplateRow::System;
using Trim = PromptTemplateRow::Trim;

constexpr std::string_view kKnown = "chatml, llama3, mistral, qwen and raw";
constexpr std::string_view kHint =
    "name one of them as chat.template; raw writes the text with nothing around it";

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

const PromptTemplateRow& row_named(std::string_view name) {
  for (const PromptTemplateRow& row : prompt_template_rows()) {
    if (row.name == name) return row;
  }
  VARVE_CHECK(false, "no template row {}", name);
  return prompt_template_rows().front();
}

bool recognises(const PromptTemplateRow& row, std::string_view jinja) {
  if (row.needs.front().empty()) return false;
  for (const std::string_view part : row.needs) {
    if (!contains(jinja, part)) return false;
  }
  for (const std::string_view part : row.refuses) {
    if (!part.empty() && contains(jinja, part)) return false;
  }
  return true;
}

const PromptTemplateRow* row_of_jinja(std::string_view jinja) {
  for (const PromptTemplateRow& row : prompt_template_rows()) {
    if (recognises(row, jinja)) return &row;
  }
  return nullptr;
}

// For vocabularies without a template of their own.
const PromptTemplateRow* row_of_tokens(const TemplateTokens& tokens) {
  const auto& has = tokens.has_special;
  if (has("<|im_start|>") && has("<|im_end|>")) return &row_named("chatml");
  if (has("<|start_header_id|>") && has("<|eot_id|>")) return &row_named("llama3");
  if (has("[INST]") && has("[SYSTEM_PROMPT]")) return &row_named("mistral-v7-tekken");
  if (has("[INST]") && has("[/INST]")) return &row_named("mistral-v3");
  return nullptr;
}

// The variant of a family that has to do where neither Jinja nor tokens say.
const PromptTemplateRow& plainest_row(std::string_view family) {
  return row_named(family == "mistral" ? "mistral-v1" : family);
}

// The constant text between "<|im_start|>system" and "<|im_end|>", if the Jinja has one: what it
// writes if the conversation has no system message.
std::string default_system_of(std::string_view jinja) {
  constexpr std::string_view kOpen = "<|im_start|>system";
  for (std::size_t at = jinja.find(kOpen); at != jinja.npos; at = jinja.find(kOpen, at + 1)) {
    std::string_view text = jinja.substr(at + kOpen.size());
    if (text.starts_with("\\n")) {
      text.remove_prefix(2);
    } else if (text.starts_with("\n")) {
      text.remove_prefix(1);
    } else {
      continue;
    }
    const std::size_t end = text.find("<|im_end|>");
    if (end == text.npos || end == 0) continue;
    text = text.substr(0, end);
    if (text.find_first_of("{}'\"\\") == text.npos) return std::string(text);
  }
  return {};
}

}  // namespace

TemplateTokens template_tokens(const Tokenizer& tokenizer) {
  const auto text = [&](std::optional<TokenId> id) {
    return id ? std::string(tokenizer.token_bytes(*id)) : std::string();
  };
  return {text(tokenizer.bos()), text(tokenizer.eos()), [&tokenizer](std::string_view token) {
            return tokenizer.find_special(token).has_value();
          }};
}

PromptTemplate::PromptTemplate(const PromptTemplateRow& row, std::string_view jinja,
                               const TemplateTokens& tokens)
    : row_(&row),
      eos_(tokens.eos),
      default_system_(jinja.empty() ? std::string(row.default_system) : default_system_of(jinja)),
      strips_thinking_(contains(jinja, "</think>")) {
  if (jinja.empty() ? row.bos : contains(jinja, "bos_token")) bos_ = tokens.bos;
}

PromptTemplate PromptTemplate::detect(std::string_view jinja, const TemplateTokens& tokens) {
  const PromptTemplateRow* row = jinja.empty() ? row_of_tokens(tokens) : row_of_jinja(jinja);
  if (row == nullptr) {
    throw ConfigError(fmt::format(
        "the model {}; varve has {}: {}",
        jinja.empty() ? "has no chat template" : "has a chat template that varve does not know",
        kKnown, kHint));
  }
  return PromptTemplate(*row, jinja, tokens);
}

PromptTemplate PromptTemplate::named(std::string_view name, std::string_view jinja,
                                     const TemplateTokens& tokens) {
  if (name == "auto") return detect(jinja, tokens);
  const auto rows = prompt_template_rows();
  if (std::none_of(rows.begin(), rows.end(), [&](const auto& row) { return row.family == name; })) {
    throw ConfigError(
        fmt::format("the chat template {} is unknown; varve has {}", in_quotes(name), kKnown));
  }
  if (const PromptTemplateRow* row = row_of_jinja(jinja); row && row->family == name) {
    return PromptTemplate(*row, jinja, tokens);
  }
  if (const PromptTemplateRow* row = row_of_tokens(tokens); row && row->family == name) {
    return PromptTemplate(*row, "", tokens);
  }
  return PromptTemplate(plainest_row(name), "", tokens);
}

PromptTemplate PromptTemplate::named(std::string_view name, const Tokenizer& tokenizer) {
  return named(name, tokenizer.chat_template(), template_tokens(tokenizer));
}

std::string_view PromptTemplate::family() const {
  return row_->family;
}
std::string_view PromptTemplate::name() const {
  return row_->name;
}

// Writes pieces by a template; adjacent pieces that are not special are one.
class PromptWriter {
 public:
  explicit PromptWriter(const PromptTemplate& prompt_template)
      : template_(prompt_template), row_(*prompt_template.row_) {
    special(template_.bos_);
  }

  void system(std::string_view content) {
    if (row_.system_place == System::kFirstUser || row_.system_place == System::kLastUser) return;
    if (row_.system_place == System::kMessage && content.empty()) return;
    if (is_raw()) {
      plain(content);
      return plain(row_.system);
    }
    message(row_.system, trims_content() ? trim(content) : content);
  }

  void user(std::string_view system, std::string_view content) {
    open_user(system);
    plain(trims_content() ? trim(content) : content);
    close_user();
  }

  // The user's message up to its content; `system` goes where the template puts it in there.
  void open_user(std::string_view system) {
    fixed(before_content(row_.user));
    if (system.empty()) return;
    plain(system);
    plain(row_.system);
  }
  void close_user() { fixed(after_content(row_.user)); }

  void assistant(std::string_view content) {
    if (template_.strips_thinking_) content = without_thinking(content);
    message(row_.assistant, row_.trim == Trim::kNone ? content : trim(content));
  }

  void generation() { fixed(row_.generation); }

  void plain(std::string_view text) {
    if (text.empty()) return;
    if (pieces_.empty() || pieces_.back().special) pieces_.push_back({"", false});
    pieces_.back().text += text;
  }

  bool trims_content() const { return row_.trim == Trim::kAll; }
  bool system_in_user(bool first, bool last) const {
    return (first && row_.system_place == System::kFirstUser) ||
           (last && row_.system_place == System::kLastUser);
  }
  bool alternates() const { return row_.alternates; }
  bool is_raw() const { return row_.family == "raw"; }
  std::vector<Piece> take() { return std::exchange(pieces_, {}); }

 private:
  static std::string_view before_content(std::string_view text) {
    return text.substr(0, text.find("{}"));
  }
  static std::string_view after_content(std::string_view text) {
    return text.substr(text.find("{}") + 2);
  }

  static std::string_view without_thinking(std::string_view content) {
    constexpr std::string_view kEnd = "</think>";
    const std::size_t at = content.rfind(kEnd);
    if (at == content.npos) return content;
    content.remove_prefix(at + kEnd.size());
    return content.substr(std::min(content.find_first_not_of('\n'), content.size()));
  }

  void message(std::string_view text, std::string_view content) {
    fixed(before_content(text));
    plain(content);
    fixed(after_content(text));
  }

  void special(std::string_view text) {
    if (!text.empty()) pieces_.push_back({std::string(text), true});
  }

  // Text of the row: markers and {eos} become special pieces.
  void fixed(std::string_view text) {
    while (!text.empty()) {
      std::string_view found = "{eos}";
      std::size_t at = text.find(found);
      for (const std::string_view marker : row_.markers) {
        if (marker.empty() || text.find(marker) >= at) continue;
        at = text.find(marker);
        found = marker;
      }
      plain(text.substr(0, at));
      if (at == text.npos) return;
      special(found == "{eos}" ? std::string_view(template_.eos_) : found);
      text.remove_prefix(at + found.size());
    }
  }

  const PromptTemplate& template_;
  const PromptTemplateRow& row_;
  std::vector<Piece> pieces_;
};

namespace {

void check_role(const ChatMessage& message, std::size_t number) {
  if (message.role == "system" && number > 1) {
    throw ConfigError(fmt::format("message {} is the system's; only the first may be", number));
  }
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    throw ConfigError(
        fmt::format("message {} has the role {}; system, user or assistant would be right", number,
                    in_quotes(message.role)));
  }
}

void check_roles(std::span<const ChatMessage> messages, bool alternates, std::string_view name) {
  std::string_view expected = "user";
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    check_role(messages[i], i + 1);
    if (role == "system") continue;
    if (alternates && role != expected) {
      throw ConfigError(fmt::format(
          "message {} is the {}'s; with the chat template {} user and assistant take turns, the "
          "user first",
          i + 1, role, name));
    }
    expected = role == "user" ? "assistant" : "user";
  }
}

std::string_view trim_front(std::string_view text) {
  const std::string_view inside = trim(text);
  return inside.empty() ? inside
                        : text.substr(static_cast<std::size_t>(inside.data() - text.data()));
}

std::string_view trim_back(std::string_view text) {
  const std::string_view inside = trim(text);
  return inside.empty() ? inside
                        : text.substr(0, static_cast<std::size_t>(inside.data() - text.data()) +
                                             inside.size());
}

}  // namespace

std::vector<Piece> render_chat(const PromptTemplate& prompt_template,
                               std::span<const ChatMessage> messages, bool add_generation_prompt) {
  PromptWriter writer(prompt_template);
  check_roles(messages, writer.alternates(), prompt_template.name());
  std::string system = prompt_template.default_system();
  if (!messages.empty() && messages.front().role == "system") {
    system = messages.front().content;
    messages = messages.subspan(1);
  }
  writer.system(system);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (writer.is_raw() && i > 0) writer.plain("\n\n");
    if (messages[i].role == "assistant") {
      writer.assistant(messages[i].content);
    } else {
      const bool with_system = writer.system_in_user(i == 0, i + 1 == messages.size());
      writer.user(with_system ? system : "", messages[i].content);
    }
  }
  if (add_generation_prompt) writer.generation();
  return writer.take();
}

DocumentPrompt render_document_prompt(const PromptTemplate& prompt_template,
                                      std::string_view system, std::string_view document,
                                      std::string_view question) {
  PromptWriter writer(prompt_template);
  if (system.empty()) system = prompt_template.default_system();
  writer.system(system);
  writer.open_user(writer.system_in_user(true, true) ? system : "");
  writer.plain(writer.trims_content() ? trim_front(document) : document);
  DocumentPrompt prompt;
  prompt.prefix = writer.take();
  writer.plain("\n\n");
  writer.plain(writer.trims_content() ? trim_back(question) : question);
  writer.close_user();
  writer.generation();
  prompt.suffix = writer.take();
  return prompt;
}

std::string text_of(std::span<const Piece> pieces) {
  std::string text;
  for (const Piece& piece : pieces) text += piece.text;
  return text;
}

}  // namespace varve
