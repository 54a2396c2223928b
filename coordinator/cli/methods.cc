// `varve methods`: what a cache policy can be made of, and what each named one does.
#include <fmt/format.h>

#include <cstdio>

#include "common/config/problems.h"
#include "common/error.h"
#include "common/in_quotes.h"
#include "common/policy/presets.h"
#include "coordinator/cli/command_line.h"

namespace varve {
namespace {

constexpr std::size_t kWidth = 100;

/// Breaks between words; lines after the first are indented, too.
std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (column > indent && column + 1 + end > kWidth) {
      out += fmt::format("\n{:{}}", "", indent);
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string default_of(const ParamSpec& param) {
  if (param.choices.empty()) return fmt::format("{}", param.fallback);
  std::string text(param.choices[static_cast<std::size_t>(param.fallback)]);
  for (const std::string_view choice : param.choices) {
    if (choice != text.substr(0, text.find('|'))) text += fmt::format("|{}", choice);
  }
  return text;
}

std::string slot_text(Slot slot) {
  std::string text = fmt::format("\n{}\n", name_of(slot));
  for (const ComponentSpec& spec : components(slot)) {
    text += fmt::format("  {:<19}{}\n", spec.name, wrapped(spec.summary, 21));
    for (const ParamSpec& param : spec.params) {
      text += fmt::format("    {}: {}  {}\n", param.name, default_of(param),
                          fmt::format("# {}", param.meaning));
    }
  }
  return text;
}

std::string list_text() {
  std::string text = "Policies, for cache.policy of a job:\n\n";
  for (const Preset& preset : presets()) {
    text += fmt::format("  {:<21}{}\n", preset.policy.preset, wrapped(preset.summary, 23));
  }
  text +=
      "\nvarve methods show NAME says more. A policy is made of five slots; a job may change any "
      "of them:\n";
  for (const Slot slot : slots()) text += slot_text(slot);
  return text;
}

std::string keep_text(const PolicyConfig& policy) {
  if (policy.keep_first == 0 && policy.keep_last.value == 0) return {};
  return fmt::format("    keep: {{first: {}, last: {}}}\n", policy.keep_first,
                     to_string(policy.keep_last));
}

// As YAML that a job may hold.
std::string component_text(const Component& component) {
  std::string text;
  for (const ParamSpec& param : find_component(component.name)->params) {
    text += fmt::format("{}{}: ", text.empty() ? "" : ", ", param.name);
    text += param.choices.empty() ? fmt::format("{}", component.get(param.name))
                                  : std::string(component.choice(param.name));
  }
  return text.empty() ? component.name : fmt::format("{{{}: {{{}}}}}", component.name, text);
}

std::string slots_text(const PolicyConfig& policy) {
  std::string text = "  in a job it is the same as\n  cache:\n    policy:\n";
  std::string slots_part;
  for (const Slot slot : slots()) {
    slots_part += fmt::format("      {}: {}\n", name_of(slot), component_text(policy.slot(slot)));
  }
  const std::string keep = keep_text(policy);
  text += slots_part;
  if (!keep.empty()) text += fmt::format("  {}", keep);
  text += fmt::format("      positions: {}\n",
                      policy.positions == Positions::kCompact ? "compact" : "original");
  if (drops_document_rows(policy)) {
    text += "    budget: 20%  # or 512 (tokens), 64MiB; required, the share is an example\n";
  }
  return text;
}

std::string card(const Preset& preset) {
  const auto line = [](std::string_view name, std::string_view text) {
    return fmt::format("  {:<16}{}\n", name, wrapped(text, 18));
  };
  std::string text = fmt::format("{}\n", preset.policy.preset);
  text += line("does", preset.summary);
  text += line("training", preset.training_free ? "none: works with any model of ours"
                                                : "needs weights that were trained for it");
  text += line("memory falls", preset.memory);
  text += line("published", preset.published.empty() ? "no figure that we have read in its source"
                                                     : preset.published);
  text += line("measured here", preset.measured.empty() ? "nothing yet" : preset.measured);
  return text + "\n" + slots_text(preset.policy);
}

}  // namespace

int methods_command(const std::string& show) {
  if (show.empty()) {
    std::fputs(list_text().c_str(), stdout);
    return 0;
  }
  const Preset* preset = find_preset(show);
  if (preset == nullptr) {
    std::vector<std::string_view> names;
    for (const Preset& known : presets()) names.push_back(known.policy.preset);
    throw ConfigError(
        fmt::format("no policy is called {}{}", in_quotes(show), name_hint(show, names)));
  }
  std::fputs(card(*preset).c_str(), stdout);
  return 0;
}

}  // namespace varve
