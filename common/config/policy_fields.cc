#include "common/config/policy_fields.h"

#include <algorithm>
#include <array>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/regular_file.h"
#include "common/policy/contradictions.h"
#include "common/policy/presets.h"

namespace varve {
namespace {

constexpr std::uint32_t kMostKept = 1U << 20;
constexpr std::array kPositions = {
    Named<Positions>{"original", Positions::kOriginal},
    Named<Positions>{"compact", Positions::kCompact},
};

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> names;
  for (const Preset& preset : presets()) names.push_back(preset.policy.preset);
  return names;
}

std::vector<std::string_view> component_names(Slot slot) {
  std::vector<std::string_view> names;
  for (const ComponentSpec& spec : components(slot)) names.push_back(spec.name);
  return names;
}

void read_param(const ConfigNode& node, const ParamSpec& param, double& out) {
  if (!param.choices.empty()) {
    if (const auto index = node.read_name(param.choices)) out = static_cast<double>(*index);
  } else if (param.integer) {
    std::uint64_t value = 0;
    if (node.read(value, static_cast<std::uint64_t>(param.least),
                  static_cast<std::uint64_t>(param.most))) {
      out = static_cast<double>(value);
    }
  } else {
    node.read(out, param.least, param.most);
  }
}

void read_params(const ConfigNode& node, Component& component) {
  const std::span<const ParamSpec> params = find_component(component.name)->params;
  const std::vector<std::string_view> keys = node.keys();
  if (params.empty() && !keys.empty()) {
    node.problem(fmt::format("{} has no parameters, and {} is none", component.name,
                             in_quotes(keys.front())));
    return;
  }
  node.read_map([&](ConfigMap& map) {
    for (std::size_t i = 0; i < params.size(); ++i) {
      read_param(map.at(params[i].name), params[i], component.values[i]);
    }
  });
}

// `{window: 64}` sets a parameter, `{window: {kernel: 7}}` and `{int4: }` name a component.
bool names_component(const ConfigNode& node) {
  const std::vector<std::string_view> keys = node.keys();
  if (keys.size() != 1) return false;
  const ConfigNode value = node.child(keys.front());
  return value.is_map() || (!value.is_scalar() && !value.is_list());
}

void read_slot(const ConfigNode& node, Slot slot, Component& out) {
  if (!node.exists()) return;
  const std::vector<std::string_view> names = component_names(slot);
  if (node.is_scalar()) {
    if (const auto index = node.read_name(names)) out = make_component(names[*index]);
    return;
  }
  if (!names_component(node)) {
    read_params(node, out);
    return;
  }
  const std::string_view name = node.keys().front();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    node.child(name).problem(fmt::format("unknown {}{}", name_of(slot), name_hint(name, names)));
    return;
  }
  out = make_component(name);
  read_params(node.child(name), out);
}

void read_budget(const ConfigNode& node, Budget& out) {
  std::string text;
  if (!node.read(text)) return;
  try {
    out = parse_budget(text);
  } catch (const ConfigError& error) {
    node.problem(error.what());
  }
}

void read_keep(const ConfigNode& node, PolicyConfig& out) {
  node.read_map([&](ConfigMap& map) {
    map.at("first").read(out.keep_first, 0, kMostKept);
    const ConfigNode last = map.at("last");
    std::string text;
    if (last.read(text) && text == "0") {
      out.keep_last = {Budget::Kind::kTokens, 0};
    } else {
      read_budget(last, out.keep_last);
    }
  });
}

void read_map(const ConfigNode& node, PolicyConfig& out) {
  node.read_map([&](ConfigMap& map) {
    const std::vector<std::string_view> names = preset_names();
    if (const auto index = map.at("preset").read_name(names)) {
      out = find_preset(names[*index])->policy;
    }
    for (const Slot slot : slots()) read_slot(map.at(name_of(slot)), slot, out.slot(slot));
    read_keep(map.at("keep"), out);
    map.at("positions").read(out.positions, kPositions);
  });
}

bool is_file_name(const std::string& text) {
  return text.ends_with(".yaml") || text.ends_with(".yml");
}

void read_file(const ConfigNode& node, bool check_files, PolicyConfig& out) {
  std::filesystem::path file;
  if (!node.read_path(file) || !check_files) return;
  if (const std::string why = why_unreadable(file); !why.empty()) {
    node.problem(why);
    return;
  }
  const ConfigDocument document(file, {}, node.problems());
  read_map(document.root(), out);
}

void read_name(const ConfigNode& node, PolicyConfig& out) {
  const std::vector<std::string_view> names = preset_names();
  if (const auto index = node.read_name(names)) out = find_preset(names[*index])->policy;
}

// Where the value at `path` (dotted) below the node was written, or the nearest map around it.
Where where_of(ConfigNode node, std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('.'), path.size());
    const ConfigNode child = node.child(path.substr(0, end));
    if (!child.exists()) break;
    node = child;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return node.where();
}

}  // namespace

void read_policy_slots(const ConfigNode& policy, bool check_files, PolicyConfig& out) {
  std::string text;
  if (policy.is_scalar() && policy.read(text)) {
    if (is_file_name(text)) {
      read_file(policy, check_files, out);
    } else {
      read_name(policy, out);
    }
  } else {
    read_map(policy, out);
  }
}

void read_policy(const ConfigNode& policy, const ConfigNode& budget, bool check_files,
                 PolicyConfig& out) {
  const std::size_t before = policy.problems().count();
  read_policy_slots(policy, check_files, out);
  read_budget(budget, out.budget);
  if (policy.problems().count() != before) return;
  for (const Contradiction& c : contradictions(out)) {
    const std::string_view path = c.path;
    const bool of_budget = path == "budget" && budget.exists();
    const Where where =
        of_budget ? budget.where() : where_of(policy, path.substr(path.find('.') + 1));
    policy.problems().add(where, "cache." + c.path, c.text);
  }
}

}  // namespace varve
