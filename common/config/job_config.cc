#include "common/config/job_config.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <system_error>

#include "common/config/document_fields.h"
#include "common/config/policy_fields.h"
#include "common/config/questions.h"
#include "common/config/reader.h"
#include "common/error.h"
#include "common/io/regular_file.h"

namespace varve {
namespace {

constexpr std::uint32_t kMostTokens = 1U << 20;
constexpr std::uint32_t kMostTopK = 1U << 20;
constexpr std::size_t kMostStops = 16;

constexpr std::array kTemplates = {
    Named<ChatTemplate>{"auto", ChatTemplate::kAuto},
    Named<ChatTemplate>{"chatml", ChatTemplate::kChatml},
    Named<ChatTemplate>{"llama3", ChatTemplate::kLlama3},
    Named<ChatTemplate>{"mistral", ChatTemplate::kMistral},
    Named<ChatTemplate>{"qwen", ChatTemplate::kQwen},
    Named<ChatTemplate>{"raw", ChatTemplate::kRaw},
};
constexpr std::array kCacheTypes = {
    Named<DType>{"f16", DType::kF16},
    Named<DType>{"bf16", DType::kBF16},
    Named<DType>{"f32", DType::kF32},
};

/// A model is a file or a folder; what is inside is the model reader's affair.
void read_model(const ConfigNode& node, bool check_files, std::filesystem::path& model) {
  const auto read = [&](const ConfigNode& at) {
    std::error_code ignored;
    if (!at.read_path(model) || !check_files) return;
    if (std::filesystem::is_directory(model, ignored)) return;
    if (const std::string why = why_unreadable(model); !why.empty()) at.problem(why);
  };
  if (node.is_scalar() || node.is_list()) return read(node);
  node.read_map([&](ConfigMap& map) { read(map.need("path")); });
}

void read_stop(const ConfigNode& node, std::vector<std::string>& stop) {
  std::vector<ConfigNode> items;
  if (node.is_scalar()) {
    items.push_back(node);
  } else {
    items = node.read_list();
  }
  if (items.size() > kMostStops) {
    node.problem(fmt::format("at most {} stop texts, are {}", kMostStops, items.size()));
    return;
  }
  for (const ConfigNode& item : items) {
    std::string text;
    if (!item.read(text)) continue;
    if (text.empty()) item.problem("a stop text must not be empty");
    stop.push_back(std::move(text));
  }
}

void read_sampling(const ConfigNode& node, SamplingConfig& out) {
  node.read_map([&](ConfigMap& map) {
    map.at("temperature").read(out.temperature, 0, 100);
    map.at("top_k").read(out.top_k, 0, kMostTopK);
    const ConfigNode top_p = map.at("top_p");
    if (top_p.read(out.top_p, 0, 1) && out.top_p <= 0) {
      top_p.problem("must be more than 0 (1 keeps every token)");
    }
    const ConfigNode min_p = map.at("min_p");
    if (min_p.read(out.min_p, 0, 1) && out.min_p >= 1) {
      min_p.problem("must be less than 1 (0 keeps every token)");
    }
    map.at("max_tokens").read(out.max_tokens, 1, kMostTokens);
    map.at("seed").read(out.seed, 0, std::numeric_limits<std::uint64_t>::max());
    read_stop(map.at("stop"), out.stop);
  });
}

void read_cache(const ConfigNode& node, bool check_files, JobConfig& job) {
  node.read_map([&](ConfigMap& map) {
    const ConfigNode policy = map.at("policy");
    read_policy(policy, map.at("budget"), check_files, job.policy);
    map.at("dtype").read(job.kv_dtype, kCacheTypes);
  });
}

void read_prefill(const ConfigNode& node, JobConfig& job) {
  node.read_map([&](ConfigMap& map) {
    map.at("chunk").read(job.chunk, 1, 65536);
    map.at("checkpoint").read(job.checkpoint, 0, 1U << 30U);
  });
}

// Anything else holds all rows until the document is read.
void check_checkpoint(const ConfigNode& prefill, const JobConfig& job) {
  if (job.checkpoint == 0 || job.policy.compaction.name == "per_chunk") return;
  prefill.problem(
      "checkpoint: can be had with a cache policy that compacts per_chunk, such as streaming_llm "
      "or guided; of others it would be the whole cache");
}

void read_output(const ConfigNode& node, JobConfig& job) {
  node.read_map([&](ConfigMap& map) {
    map.at("dir").read_path(job.output_dir);
    map.at("overwrite").read(job.overwrite);
    map.at("audit").read(job.audit);
  });
}

void read_name(const ConfigNode& node, std::string& name) {
  if (node.read(name) && name.empty()) node.problem("must not be empty");
}

JobConfig read_fields(const ConfigDocument& document, const std::filesystem::path& file,
                      const ReadOptions& options) {
  JobConfig job;
  job.name = file.stem().string();
  job.output_dir = file.parent_path() / job.output_dir;
  document.root().read_map([&](ConfigMap& map) {
    read_name(map.at("name"), job.name);
    read_model(map.need("model"), options.check_files, job.model);
    read_document_fields(map.need("document"), options.check_files, job.document);
    read_sampling(map.at("sampling"), job.sampling);
    job.questions =
        read_questions(map.need("questions"), job.sampling.max_tokens, options.check_files);
    map.at("chat").read_map([&](ConfigMap& chat) {
      chat.at("template").read(job.chat.chat_template, kTemplates);
      chat.at("system").read(job.chat.system);
    });
    const ConfigNode prefill = map.at("prefill");
    read_prefill(prefill, job);
    map.at("decode").read_map(
        [&](ConfigMap& m) { m.at("parallel").read_or_auto(job.parallel, 1, 4096); });
    read_cache(map.at("cache"), options.check_files, job);
    check_checkpoint(prefill, job);
    read_output(map.at("output"), job);
  });
  return job;
}

}  // namespace

JobConfig read_job(const std::filesystem::path& file, const ReadOptions& options,
                   Problems& problems) {
  const ConfigDocument document(file, options.overrides, problems);
  return read_fields(document, file, options);
}

JobConfig read_job_text(const std::filesystem::path& file, std::string text,
                        const ReadOptions& options, Problems& problems) {
  const ConfigDocument document(file, std::move(text), options.overrides, problems);
  return read_fields(document, file, options);
}

JobConfig load_job(const std::filesystem::path& file, const ReadOptions& options) {
  Problems problems;
  JobConfig job = read_job(file, options, problems);
  problems.throw_if_any();
  return job;
}

std::string_view to_string(ChatTemplate chat_template) {
  for (const auto& [name, value] : kTemplates) {
    if (value == chat_template) return name;
  }
  VARVE_CHECK(false, "chat template {}", static_cast<int>(chat_template));
  return {};
}

}  // namespace varve
