// A job: which questions to ask about which document, of which model. Read from YAML:
//
// clang-format off
//   name: report                      # default: the file's name without .yaml
//   model: {path: m.gguf}             # a GGUF file or a Hugging Face folder; or just `model: m.gguf`
//   document: report.txt              # or [a.txt, b.txt], or {files: [...], glob: "part-*.txt"}
//                                     # (the files first), or {text: "..."}
//   questions:                        # at least one
//     - What changed in 2024?         # id: q1, q2, ... by its place in the whole list
//     - {id: sum, text: Sum it up., max_tokens: 400}
//     - {text: Who wrote it?, probe: It was written by}  # probe: how the answer may begin; a
//                                     # guided policy looks with it instead of the question
//     - {file: more.jsonl}            # lines {"id", "text", "max_tokens", "probe"}; or .txt, one
//                                     # per line
//   chat: {template: auto, system: ""}  # auto, chatml, llama3, mistral, qwen, raw
//   sampling: {temperature: 0, top_k: 0, top_p: 1, min_p: 0, max_tokens: 128, seed: 0, stop: []}
//   prefill: {chunk: 512}             # rows of a step
//                                     # checkpoint: 65536: after so many rows of the document what
//                                     # is held of it is saved in output.dir, and a run that was
//                                     # stopped goes on from there; 0: never
//   decode: {parallel: auto}          # questions that decode at the same time
//   cache: {policy: full, dtype: f16} # f16, bf16, f32; policy: see policy_fields.h
//                                     # {policy: snapkv, budget: 20%}: or 512 (tokens), 64MiB
//   output: {dir: out, overwrite: true, audit: false}  # audit: what `varve inspect` shows
// clang-format on
//
// Relative paths start from the job file's folder, those given by an override ("--set") from the
// working folder; ~ is the home folder. Only model, document and questions are required.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config/problems.h"
#include "common/dtype.h"
#include "common/policy/policy_config.h"

namespace varve {

enum class ChatTemplate { kAuto, kChatml, kLlama3, kMistral, kQwen, kRaw };

/// Exactly one of text and (files, glob) is given.
struct DocumentConfig {
  std::vector<std::filesystem::path> files;
  std::filesystem::path folder;  // that a relative glob starts from
  std::string glob;              // *, ?, [...]; empty: none
  std::optional<std::string> text;
};

struct Question {
  std::string id;  // unique in the job
  std::string text;
  std::uint32_t max_tokens = 128;  // its own, or the sampling's
  std::string probe{};             // what a guided policy looks with; empty: the question
};

struct ChatConfig {
  ChatTemplate chat_template = ChatTemplate::kAuto;
  std::string system;  // empty: no system message
};

struct SamplingConfig {
  float temperature = 0;           // 0..100; 0 is greedy
  std::uint32_t top_k = 0;         // 0..1048576; 0 is off
  float top_p = 1;                 // 0..1, more than 0; 1 is off
  float min_p = 0;                 // 0..1, less than 1; 0 is off
  std::uint32_t max_tokens = 128;  // of an answer, 1..1048576
  std::uint64_t seed = 0;
  std::vector<std::string> stop;  // an answer ends before the first of these; up to 16
};

struct JobConfig {
  std::string name;
  std::filesystem::path model;
  DocumentConfig document;
  std::vector<Question> questions;
  ChatConfig chat;
  SamplingConfig sampling;
  std::uint32_t chunk = 512;     // prefill.chunk, 1..65536
  std::uint32_t checkpoint = 0;  // prefill.checkpoint, rows; rounded up to whole compactions
  std::optional<std::uint32_t> parallel;  // decode.parallel, 1..4096; nothing is auto
  PolicyConfig policy;                    // cache.policy and cache.budget
  DType kv_dtype = DType::kF16;           // cache.dtype
  std::filesystem::path output_dir = "out";
  bool overwrite = true;  // output.overwrite: results that are there already may be replaced
  bool audit = false;     // output.audit: keep what was kept and attended to, in audit.json
};

struct ReadOptions {
  std::vector<std::string> overrides;  // "sampling.seed=7", as after --set
  /// Whether the files that are named must be there. Without it no file but the configuration is
  /// touched, and `questions: {file: ...}` yields none.
  bool check_files = true;
};

/// Reads a job; whatever is wrong goes into `problems`, and then the result is not to be used.
JobConfig read_job(const std::filesystem::path& file, const ReadOptions& options,
                   Problems& problems);
/// The same from a text, as if it stood in `file`.
JobConfig read_job_text(const std::filesystem::path& file, std::string text,
                        const ReadOptions& options, Problems& problems);
/// The same, and a ConfigError of all problems.
JobConfig load_job(const std::filesystem::path& file, const ReadOptions& options = {});

/// "auto", "chatml", ...
std::string_view to_string(ChatTemplate chat_template);

/// The job with its defaults filled in, for run.json.
std::string to_json(const JobConfig& job);

}  // namespace varve
