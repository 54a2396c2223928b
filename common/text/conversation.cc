#include "common/text/conversation.h"

#include <fmt/format.h>

#include <array>

#include "common/error.h"

namespace varve {
namespace {

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
  }
  return {};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// Neighbouring texts join, so that the tokenizer sees them as the one text that they are.
class Pieces {
 public:
  Pieces& special(std::string_view text) {
    pieces_.push_back({std::string(text), true});
    return *this;
  }
  Pieces& text(std::string_view text) {
    if (text.empty()) return *this;
    if (pieces_.empty() || pieces_.back().special) pieces_.push_back({});
    pieces_.back().text += text;
    return *this;
  }
  std::vector<Piece> take() { return std::move(pieces_); }

 private:
  std::vector<Piece> pieces_;
};

bool has_system(std::span<const Message> messages) {
  return !messages.empty() && messages.front().role == Role::kSystem;
}

void chatml_turn(Pieces& out, Role role, std::string_view text) {
  out.special("<|im_start|>").text(role_name(role)).text("\n").text(text);
  out.special("<|im_end|>").text("\n");
}

std::vector<Piece> render_chatml(std::span<const Message> messages,
                                 std::string_view default_system) {
  Pieces out;
  if (!has_system(messages) && !default_system.empty()) {
    chatml_turn(out, Role::kSystem, default_system);
  }
  for (const Message& m : messages) chatml_turn(out, m.role, m.text);
  out.special("<|im_start|>").text("assistant\n");
  return out.take();
}

void llama3_header(Pieces& out, Role role) {
  out.special("<|start_header_id|>").text(role_name(role)).special("<|end_header_id|>");
  out.text("\n\n");
}

// The beginning-of-sequence token is the tokenizer's to put in front.
std::vector<Piece> render_llama3(std::span<const Message> messages,
                                 std::string_view default_system) {
  Pieces out;
  const auto turn = [&out](Role role, std::string_view text) {
    llama3_header(out, role);
    out.text(trimmed(text)).special("<|eot_id|>");
  };
  if (!has_system(messages) && !default_system.empty()) turn(Role::kSystem, default_system);
  for (const Message& m : messages) turn(m.role, m.text);
  llama3_header(out, Role::kAssistant);
  return out.take();
}

// Mistral 7B Instruct v0.1 and v0.2. There is no system turn: its text opens the first user turn.
std::vector<Piece> render_mistral(std::span<const Message> messages,
                                  std::string_view default_system) {
  Pieces out;
  std::string system(has_system(messages) ? std::string_view(messages.front().text)
                                          : default_system);
  for (const Message& m : messages) {
    if (m.role == Role::kSystem) continue;
    if (m.role == Role::kAssistant) {
      out.text(m.text).special("</s>");
      continue;
    }
    out.special("[INST]").text(" ");
    if (!system.empty()) out.text(system).text("\n\n");
    system.clear();
    out.text(m.text).text(" ").special("[/INST]");
  }
  return out.take();
}

std::vector<Piece> render_raw(std::span<const Message> messages, std::string_view default_system) {
  Pieces out;
  if (!has_system(messages) && !default_system.empty()) out.text(default_system).text("\n\n");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    out.text(i == 0 ? "" : "\n\n").text(messages[i].text);
  }
  return out.take();
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// In the order of detection: Qwen writes ChatML too, and is told from it by its own words.
constexpr std::array kFormats = {
    ChatFormat{"llama3", render_llama3,
               [](std::string_view jinja) { return holds(jinja, "<|start_header_id|>"); }},
    ChatFormat{"qwen", render_chatml,
               [](std::string_view jinja) {
                 return holds(jinja, "<|im_start|>") &&
                        (holds(jinja, "Qwen") || holds(jinja, "<tool_call>"));
               }},
    ChatFormat{"chatml", render_chatml,
               [](std::string_view jinja) { return holds(jinja, "<|im_start|>"); }},
    ChatFormat{"mistral", render_mistral,
               [](std::string_view jinja) {
                 return holds(jinja, "[INST]") && !holds(jinja, "<<SYS>>") &&
                        !holds(jinja, "[AVAILABLE_TOOLS]") && !holds(jinja, "[SYSTEM_PROMPT]");
               }},
    ChatFormat{"raw", render_raw, [](std::string_view jinja) { return jinja.empty(); }},
};

std::string known_formats() {
  std::string names;
  for (const ChatFormat& format : kFormats) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", format.name);
  }
  return names;
}

}  // namespace

const ChatFormat& find_chat_format(std::string_view name) {
  for (const ChatFormat& format : kFormats) {
    if (format.name == name) return format;
  }
  throw ConfigError(
      fmt::format("chat.template: no format is called '{}'; known: {}", name, known_formats()));
}

const ChatFormat& detect_chat_format(const Tokenizer& tokenizer) {
  for (const ChatFormat& format : kFormats) {
    if (format.recognises(tokenizer.chat_template())) return format;
  }
  throw ConfigError(fmt::format(
      "{}: the model's chat template is of no known format; set chat.template to one of: {}",
      tokenizer.source(), known_formats()));
}

std::string default_system_message(std::string_view jinja) {
  constexpr std::string_view kOpen = "<|im_start|>system";
  constexpr std::string_view kClose = "<|im_end|>";
  for (std::size_t at = jinja.find(kOpen); at != std::string_view::npos;
       at = jinja.find(kOpen, at + 1)) {
    std::string_view rest = jinja.substr(at + kOpen.size());
    // The line break stands there as itself or as the two characters of its escape.
    if (rest.starts_with("\\n")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with("\n")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    const std::string_view text = rest.substr(0, rest.find(kClose));
    // A quote or a brace ends the literal: the system message is a variable there.
    if (!text.empty() && text.find_first_of("'\"{}") == std::string_view::npos) {
      return std::string(text);
    }
  }
  return {};
}

DocumentPrompt render_document_prompt(const ChatFormat& format, std::string_view system,
                                      std::string_view default_system, std::string_view document,
                                      std::string_view question) {
  // A mark that no text can hold, because texts are cut at it nowhere else: the place is found by
  // rendering with it and is taken out again.
  constexpr std::string_view kCut("\0varve-cut\0", 11);
  std::vector<Message> messages;
  if (!system.empty()) messages.push_back({Role::kSystem, std::string(system)});
  messages.push_back({Role::kUser, std::string(kCut)});
  DocumentPrompt prompt;
  bool behind = false;
  for (Piece& piece : format.render(messages, default_system)) {
    const std::size_t at = behind ? std::string::npos : piece.text.find(kCut);
    if (at == std::string::npos) {
      (behind ? prompt.suffix : prompt.prefix).push_back(std::move(piece));
      continue;
    }
    const std::string before = piece.text.substr(0, at) + std::string(document);
    if (!before.empty()) prompt.prefix.push_back({before, false});
    prompt.suffix.push_back(
        {fmt::format("\n\n{}{}", question, piece.text.substr(at + kCut.size())), false});
    behind = true;
  }
  VARVE_CHECK(behind, "the format {} drops the user's turn", format.name);
  return prompt;
}

}  // namespace varve
