#include "common/text/chat_template_table.h"

namespace varve {
namespace {

using Row = PromptTemplateRow;
using System = Row::System;
using Trim = Row::Trim;

constexpr std::string_view kChatmlSystem = "<|im_start|>system\n{}<|im_end|>\n";
constexpr std::string_view kChatmlUser = "<|im_start|>user\n{}<|im_end|>\n";
constexpr std::string_view kChatmlAssistant = "<|im_start|>assistant\n{}<|im_end|>\n";
constexpr std::string_view kChatmlGeneration = "<|im_start|>assistant\n";
constexpr std::array<std::string_view, 4> kChatmlMarkers = {"<|im_start|>", "<|im_end|>"};

// Templates that write more around a message than ChatML does: another separator, a preamble, the
// beginning of a thought.
constexpr std::array<std::string_view, 6> kNotChatml = {
    "<|im_sep|>", "## Metadata", "function calling AI model", R"(<|im_start|>assistant\n<think>)",
    R"({{- '<think>\n' }})"};

constexpr std::string_view kLlama3User = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>";
constexpr std::string_view kLlama3Assistant =
    "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>";
constexpr std::string_view kLlama3Generation = "<|start_header_id|>assistant<|end_header_id|>\n\n";
constexpr std::array<std::string_view, 4> kLlama3Markers = {"<|start_header_id|>",
                                                            "<|end_header_id|>", "<|eot_id|>"};

constexpr std::array<std::string_view, 4> kMistralMarkers = {"[INST]", "[/INST]", "[SYSTEM_PROMPT]",
                                                             "[/SYSTEM_PROMPT]"};

constexpr Row kRows[] = {
    {.name = "qwen",
     .family = "qwen",
     .system = kChatmlSystem,
     .user = kChatmlUser,
     .assistant = kChatmlAssistant,
     .generation = kChatmlGeneration,
     .default_system = "You are a helpful assistant.",
     .markers = kChatmlMarkers,
     .needs = {"<|im_start|>", "<|im_end|>", "Qwen"},
     .refuses = kNotChatml},
    {.name = "chatml",
     .family = "chatml",
     .system = kChatmlSystem,
     .user = kChatmlUser,
     .assistant = kChatmlAssistant,
     .generation = kChatmlGeneration,
     .markers = kChatmlMarkers,
     .needs = {"<|im_start|>", "<|im_end|>"},
     .refuses = kNotChatml},
    // Today's date is that of the template itself, for the same prompt on every day.
    {.name = "llama3.1",
     .family = "llama3",
     .system = "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December "
               "2023\nToday Date: 26 Jul 2024\n\n{}<|eot_id|>",
     .user = kLlama3User,
     .assistant = kLlama3Assistant,
     .generation = kLlama3Generation,
     .system_place = System::kAlways,
     .trim = Trim::kAll,
     .bos = true,
     .markers = kLlama3Markers,
     .needs = {"message['content'] | trim + '<|eot_id|>'", "Cutting Knowledge Date: December 2023",
               "\"26 Jul 2024\""}},
    {.name = "llama3",
     .family = "llama3",
     .system = "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
     .user = kLlama3User,
     .assistant = kLlama3Assistant,
     .generation = kLlama3Generation,
     .trim = Trim::kAll,
     .bos = true,
     .markers = kLlama3Markers,
     .needs = {"<|start_header_id|>", "message['content'] | trim + '<|eot_id|>'"}},
    {.name = "mistral-v7",
     .family = "mistral",
     .system = "[SYSTEM_PROMPT] {}[/SYSTEM_PROMPT]",
     .user = "[INST] {}[/INST]",
     .assistant = " {}{eos}",
     .alternates = true,
     .bos = true,
     .markers = kMistralMarkers,
     .needs = {"[SYSTEM_PROMPT] ", "[INST] "}},
    {.name = "mistral-v7-tekken",
     .family = "mistral",
     .system = "[SYSTEM_PROMPT]{}[/SYSTEM_PROMPT]",
     .user = "[INST]{}[/INST]",
     .assistant = "{}{eos}",
     .alternates = true,
     .bos = true,
     .markers = kMistralMarkers,
     .needs = {"[SYSTEM_PROMPT]", "[INST]"},
     .refuses = {"default_system_message"}},
    {.name = "mistral-v1",
     .family = "mistral",
     .system = "\n\n",
     .user = " [INST] {} [/INST]",
     .assistant = " {}{eos}",
     .system_place = System::kFirstUser,
     .alternates = true,
     .bos = true,
     .markers = kMistralMarkers,
     .needs = {"' [INST] '", "' [/INST]'"},
     .refuses = {"<<SYS>>"}},
    {.name = "mistral-v0",
     .family = "mistral",
     .system = "\n",
     .user = "[INST] {} [/INST]",
     .assistant = "{}{eos}",
     .system_place = System::kFirstUser,
     .alternates = true,
     .bos = true,
     .markers = kMistralMarkers,
     .needs = {"'[INST] '", "' [/INST]'"},
     .refuses = {"<<SYS>>"}},
    {.name = "mistral-v3",
     .family = "mistral",
     .system = "\n\n",
     .user = "[INST] {}[/INST]",
     .assistant = " {}{eos}",
     .system_place = System::kLastUser,
     .trim = Trim::kAssistant,
     .alternates = true,
     .bos = true,
     .markers = kMistralMarkers,
     .needs = {"\"[INST] \"", "\"[/INST]\"", "loop.last and system_message"}},
    {.name = "mistral-v3-tekken",
     .family = "mistral",
     .system = "\n\n",
     .user = "[INST]{}[/INST]",
     .assistant = "{}{eos}",
     .system_place = System::kLastUser,
     .alternates = true,
     .bos = true,
     .markers = kMistralMarkers,
     .needs = {"\"[INST]\"", "\"[/INST]\"", "loop.last and system_message"}},
    {.name = "raw", .family = "raw", .system = "\n\n", .user = "{}", .assistant = "{}"},
};

}  // namespace

std::span<const PromptTemplateRow> prompt_template_rows() {
  return kRows;
}

}  // namespace varve
