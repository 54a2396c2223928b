#include "common/config/eval_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/config/policy_fields.h"
#include "common/config/reader.h"
#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/regular_file.h"
#include "common/policy/contradictions.h"

namespace varve {
namespace {

constexpr std::uint32_t kLeastLength = 64;
constexpr std::uint32_t kMostLength = 1U << 24;
constexpr std::array kCacheTypes = {
    Named<DType>{"f16", DType::kF16},
    Named<DType>{"bf16", DType::kBF16},
    Named<DType>{"f32", DType::kF32},
};

void read_file_path(const ConfigNode& node, bool check_files, bool or_folder,
                    std::filesystem::path& out) {
  std::error_code ignored;
  if (!node.read_path(out) || !check_files) return;
  if (or_folder && std::filesystem::is_directory(out, ignored)) return;
  if (const std::string why = why_unreadable(out); !why.empty()) node.problem(why);
}

void read_model(const ConfigNode& node, bool check_files, std::filesystem::path& out) {
  if (!node.is_map()) return read_file_path(node, check_files, true, out);
  node.read_map([&](ConfigMap& map) { read_file_path(map.need("path"), check_files, true, out); });
}

void read_chat(const ConfigNode& node, ChatConfig& out) {
  constexpr std::array kTemplates = {ChatTemplate::kAuto,   ChatTemplate::kChatml,
                                     ChatTemplate::kLlama3, ChatTemplate::kMistral,
                                     ChatTemplate::kQwen,   ChatTemplate::kRaw};
  std::array<Named<ChatTemplate>, kTemplates.size()> named;
  for (std::size_t i = 0; i < named.size(); ++i) {
    named[i] = {to_string(kTemplates[i]), kTemplates[i]};
  }
  node.read_map([&](ConfigMap& map) {
    map.at("template").read(out.chat_template, named);
    map.at("system").read(out.system);
  });
}

// The items of a list that must have some.
std::vector<ConfigNode> some(const ConfigNode& node, std::string_view what) {
  std::vector<ConfigNode> items = node.read_list();
  if (node.is_list() && items.empty()) node.problem(fmt::format("must name at least one {}", what));
  return items;
}

// Adds `value`, unless it is there.
template <class T>
void add_new(const ConfigNode& node, T value, std::string_view what, std::vector<T>& list) {
  if (std::find(list.begin(), list.end(), value) != list.end()) {
    node.problem(fmt::format("{} stands there twice", what));
    return;
  }
  list.push_back(std::move(value));
}

// Null, and a problem, if the node names no task.
const ComponentSpec* find_task(const ConfigNode& node, std::span<const ComponentSpec> tasks) {
  std::vector<std::string_view> names;
  for (const ComponentSpec& task : tasks) names.push_back(task.name);
  const std::vector<std::string_view> keys = node.keys();
  if (keys.size() == 1) {
    const auto found = std::find(names.begin(), names.end(), keys.front());
    if (found != names.end()) return &tasks[static_cast<std::size_t>(found - names.begin())];
    node.child(keys.front()).problem(fmt::format("unknown task{}", name_hint(keys.front(), names)));
  } else if (!node.is_scalar()) {
    node.problem("must be a task (pass_key), or one with parameters ({multi_key: {keys: 4}})");
  } else if (const auto index = node.read_name(names)) {
    return &tasks[*index];
  }
  return nullptr;
}

void read_task(const ConfigNode& node, std::span<const ComponentSpec> tasks,
               std::vector<EvalTaskConfig>& out) {
  const ComponentSpec* spec = find_task(node, tasks);
  if (spec == nullptr) return;
  EvalTaskConfig task{std::string(spec->name), {}};
  for (const ParamSpec& param : spec->params) task.values.push_back(param.fallback);
  node.child(spec->name).read_map([&](ConfigMap& map) {
    for (std::size_t i = 0; i < spec->params.size(); ++i) {
      const ParamSpec& param = spec->params[i];
      std::uint64_t value = 0;
      if (map.at(param.name)
              .read(value, static_cast<std::uint64_t>(param.least),
                    static_cast<std::uint64_t>(param.most))) {
        task.values[i] = static_cast<double>(value);
      }
    }
  });
  add_new(node, std::move(task), "the task", out);
}

void read_length(const ConfigNode& node, std::vector<std::uint32_t>& out) {
  std::string text;
  if (!node.read(text)) return;
  try {
    add_new(node, parse_length(text), "the length", out);
  } catch (const ConfigError& error) {
    node.problem(error.what());
  }
}

void read_budget(const ConfigNode& node, std::vector<Budget>& out) {
  std::string text;
  if (!node.read(text)) return;
  try {
    add_new(node, parse_budget(text), "the budget", out);
  } catch (const ConfigError& error) {
    node.problem(error.what());
  }
}

// Of one policy and budget: "budget" is said of the budgets, all else of the policy.
bool report_contradictions(const PolicyConfig& policy, const ConfigNode& node,
                           const ConfigNode& budgets) {
  const std::vector<Contradiction> list = contradictions(policy);
  for (const Contradiction& c : list) {
    if (c.path == "budget") {
      const ConfigNode& at = budgets.exists() ? budgets : node;
      node.problems().add(at.where(), "budgets",
                          fmt::format("of policy {}: {}", policy.preset, c.text));
    } else {
      const std::string_view below = std::string_view(c.path).substr(
          std::min(c.path.size(), std::string_view("policy").size()));
      node.problems().add(node.where(), fmt::format("{}{}", node.path(), below), c.text);
    }
  }
  return list.empty();
}

void read_policies(const ConfigNode& list, const ConfigNode& budget_list, bool check_files,
                   std::vector<PolicyConfig>& out) {
  std::vector<Budget> budgets;
  const std::size_t before = list.problems().count();
  for (const ConfigNode& node : budget_list.read_list()) read_budget(node, budgets);
  if (list.problems().count() != before) return;
  for (const ConfigNode& node : some(list, "policy")) {
    const std::size_t so_far = list.problems().count();
    PolicyConfig policy;
    read_policy_slots(node, check_files, policy);
    if (list.problems().count() != so_far) continue;
    const bool wants_budget = policy.scorer.name != "none";
    if (!wants_budget || budgets.empty()) {
      if (report_contradictions(policy, node, budget_list))
        add_new(node, policy, "the policy", out);
      continue;
    }
    for (const Budget& budget : budgets) {
      policy.budget = budget;
      if (!report_contradictions(policy, node, budget_list)) break;
      add_new(node, policy, "the policy", out);
    }
  }
}

bool has_any(const std::filesystem::path& file, std::initializer_list<std::string_view> keys) {
  Problems ignored;
  const ConfigDocument document(file, {}, ignored);
  return std::any_of(keys.begin(), keys.end(),
                     [&](std::string_view key) { return document.root().child(key).exists(); });
}

EvalConfig read_fields(const ConfigDocument& document, const std::filesystem::path& file,
                       const ReadOptions& options, std::span<const ComponentSpec> tasks) {
  EvalConfig config;
  config.name = file.stem().string();
  config.output_dir = file.parent_path() / config.output_dir;
  document.root().read_map([&](ConfigMap& map) {
    if (const ConfigNode name = map.at("name"); name.read(config.name) && config.name.empty()) {
      name.problem("must not be empty");
    }
    read_model(map.need("model"), options.check_files, config.model);
    read_file_path(map.need("text"), options.check_files, false, config.text);
    for (const ConfigNode& n : some(map.need("tasks"), "task")) read_task(n, tasks, config.tasks);
    for (const ConfigNode& n : some(map.need("lengths"), "length")) read_length(n, config.lengths);
    read_policies(map.need("policies"), map.at("budgets"), options.check_files, config.policies);
    map.at("samples").read(config.samples, 1, 100000);
    map.at("seed").read(config.seed, 0, std::numeric_limits<std::uint64_t>::max());
    read_chat(map.at("chat"), config.chat);
    map.at("prefill").read_map([&](ConfigMap& m) { m.at("chunk").read(config.chunk, 1, 65536); });
    map.at("decode").read_map([&](ConfigMap& m) { m.at("parallel").read(config.parallel, 1, 64); });
    map.at("cache").read_map(
        [&](ConfigMap& m) { m.at("dtype").read(config.kv_dtype, kCacheTypes); });
    map.at("output").read_map([&](ConfigMap& m) { m.at("dir").read_path(config.output_dir); });
  });
  return config;
}

}  // namespace

EvalConfig read_eval(const std::filesystem::path& file, const ReadOptions& options,
                     std::span<const ComponentSpec> tasks, Problems& problems) {
  const ConfigDocument document(file, options.overrides, problems);
  return read_fields(document, file, options, tasks);
}

EvalConfig read_eval_text(const std::filesystem::path& file, std::string text,
                          const ReadOptions& options, std::span<const ComponentSpec> tasks,
                          Problems& problems) {
  const ConfigDocument document(file, std::move(text), options.overrides, problems);
  return read_fields(document, file, options, tasks);
}

bool is_eval_file(const std::filesystem::path& file) {
  return has_any(file, {"tasks"});
}

bool is_job_file(const std::filesystem::path& file) {
  return has_any(file, {"document", "questions"}) && !is_eval_file(file);
}

std::uint32_t parse_length(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::uint64_t factor = unit.empty()                 ? 1
                               : unit == "k" || unit == "K" ? 1024
                               : unit == "M"                ? 1024 * 1024
                                                            : 0;
  const bool fits = error == std::errc() && factor > 0 && value <= kMostLength / factor;
  if (!fits || value * factor < kLeastLength) {
    throw ConfigError(fmt::format(
        "must be a number of tokens between {} and {}, which may be written 4k (4096) or 1M, is {}",
        kLeastLength, kMostLength, in_quotes(text)));
  }
  return static_cast<std::uint32_t>(value * factor);
}

std::string to_json(const EvalConfig& config, std::span<const ComponentSpec> tasks) {
  using Json = nlohmann::ordered_json;
  Json task_list = Json::array();
  for (const EvalTaskConfig& task : config.tasks) {
    const auto spec = std::find_if(tasks.begin(), tasks.end(),
                                   [&](const auto& s) { return s.name == task.name; });
    VARVE_CHECK(spec != tasks.end(), "task '{}'", task.name);
    Json params = Json::object();
    for (std::size_t i = 0; i < task.values.size(); ++i) {
      params[std::string(spec->params[i].name)] = static_cast<std::uint64_t>(task.values[i]);
    }
    task_list.push_back({{task.name, params}});
  }
  Json policies = Json::array();
  for (const PolicyConfig& policy : config.policies) {
    policies.push_back({{"preset", policy.preset}, {"all", describe(policy)}});
  }
  const Json out = {
      {"name", config.name},
      {"model", config.model.string()},
      {"text", config.text.string()},
      {"tasks", task_list},
      {"lengths", config.lengths},
      {"policies", policies},
      {"samples", config.samples},
      {"seed", config.seed},
      {"chat",
       {{"template", to_string(config.chat.chat_template)}, {"system", config.chat.system}}},
      {"prefill", {{"chunk", config.chunk}}},
      {"decode", {{"parallel", config.parallel}}},
      {"cache", {{"dtype", dtype_info(config.kv_dtype).name}}},
      {"output", {{"dir", config.output_dir.string()}}}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace varve
