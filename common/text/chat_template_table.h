// The rows of chat_template.h: what each template writes, and how its Jinja is recognised.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace varve {

/// In the texts below, {} is a message's content, {bos} and {eos} are those tokens; what `markers`
/// lists is special.
struct PromptTemplateRow {
  enum class System : std::uint8_t {
    kMessage,    // a message of its own, before the others
    kAlways,     // the same, also if it is empty
    kFirstUser,  // in front of the first user's content
    kLastUser,   // in front of the last message's content, if that is a user's
  };
  enum class Trim : std::uint8_t { kNone, kAssistant, kAll };

  std::string_view name = {};
  std::string_view family = {};
  std::string_view system =
      {};  // of kMessage and kAlways; for the others what joins it to the user's
  std::string_view user = {};
  std::string_view assistant = {};
  std::string_view generation = {};
  System system_place = System::kMessage;
  Trim trim = Trim::kNone;
  bool alternates = false;               // user and assistant must take turns
  bool bos = false;                      // {bos} comes first, where no Jinja says
  std::string_view default_system = {};  // where no Jinja says
  std::array<std::string_view, 4> markers = {};
  /// What its Jinja must contain, and what it must not.
  std::array<std::string_view, 3> needs = {};
  std::array<std::string_view, 6> refuses = {};
};

/// In the order in which detection tries them.
std::span<const PromptTemplateRow> prompt_template_rows();

}  // namespace varve
