// The command line. Options that name a setting of the cluster file are short for its override, so
// there is one place where a setting is read and checked.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <functional>

#include "common/error.h"
#include "coordinator/cli/bench_command.h"
#include "coordinator/cli/command_line.h"

namespace {

using varve::BenchLine;
using varve::CommandLine;
using varve::InspectLine;
using Overrides = std::vector<std::string>;

constexpr const char* kExamples =
    "Examples:\n"
    "  varve plan job.yaml --ranks 4\n"
    "  varve run job.yaml\n"
    "  mpirun --bind-to none -np 4 varve run job.yaml\n"
    "  varve bench -m model.gguf -d 0,4096\n"
    "  varve methods show snapkv\n"
    "  varve inspect out\n"
    "  mpirun -np 4 varve doctor\n\n";
constexpr const char* kAnswers =
    "The answers go to results.jsonl in the job's output.dir, what the run did to run.json there,\n"
    "a table to standard output, plan and progress to standard error.\n\n";
constexpr const char* kBench =
    "Tests: pp512 reads 512 tokens, tg32 generates 32 one after the other; '@ d4096': with 4096\n"
    "tokens in the cache before; 'b8': eight sequences that share those generate together. Tokens\n"
    "are random. Shares are of this machine's peaks, which are measured first: of multiply-adds\n"
    "for pp, of memory reads for tg. Under mpirun the ranks are its processes, else threads.\n\n"
    "--scaling reads a document on each count of ranks. strong: the same document; weak: one that\n"
    "grows with the ranks, up to the same. Speed-up counts arithmetic per second; efficiency is\n"
    "speed-up by ranks. Without --threads every rank gets as many threads as it can have cores\n"
    "where the ranks are the most. With --hostfile it starts mpirun, with the options that stand\n"
    "in MPIRUN_OPTIONS, and --threads is as in run.\n\n"
    "Examples:\n"
    "  varve bench -m model.gguf -d 0,4096 -b 1,8\n"
    "  mpirun --bind-to none -np 2 varve bench -m model.gguf -p 8192 -n 0\n"
    "  varve bench -m model.gguf --scaling 1,2,4 --hostfile hosts\n\n";
constexpr const char* kEval =
    "Tasks, lengths, policies and budgets, every one with every other: quality with 95 % "
    "intervals,\n"
    "bytes and speed. A document is read once and every policy tried on it. Samples that are done\n"
    "are kept in samples.jsonl in output.dir: started again, it goes on from there. A table goes "
    "to\n"
    "standard output, and with table.csv, eval.json and plot.svg to that folder.\n\n"
    "Example:\n"
    "  mpirun --bind-to none -np 2 varve eval configs/eval/smollm2.yaml\n\n";
constexpr const char* kInspect =
    "The page shows which rows of the document each layer kept, what each answer attended to, "
    "with\n"
    "its text, the passages that most layers lost, and memory over time. It asks nothing of any\n"
    "network. The job must have asked for the numbers:\n"
    "  varve run job.yaml --set output.audit=true\n"
    "  varve inspect out\n\n";
constexpr const char* kDoctor =
    "Under mpirun every rank exchanges with every other one, through MPI and, if each has a GPU "
    "of\n"
    "its own, from GPU to GPU. Needs neither model nor job, and works on machines without GPUs.\n\n"
    "Examples:\n"
    "  varve doctor\n"
    "  mpirun --hostfile hosts --bind-to none varve doctor\n\n";
constexpr const char* kFooter =
    "configs/jobs/document_qa.yaml and configs/clusters/local.yaml name every setting.\n\n"
    "Exit codes: 0 done, 1 other failure, 2 command line, job or input file, 3 does not fit,\n"
    "5 a rank was lost, 130 interrupted, 143 terminated.\n";

void add_setting(CLI::App& app, Overrides& overrides, const std::string& flag,
                 const std::string& path, const std::string& help) {
  app.add_option_function<std::string>(
         flag,
         [&overrides, path](const std::string& value) { overrides.push_back(path + "=" + value); },
         help)
      ->type_name("VALUE");
}

void add_set(CLI::App& app, Overrides& overrides, const std::string& help) {
  app.add_option_function<std::vector<std::string>>(
         "--set",
         [&overrides](const std::vector<std::string>& sets) {
           overrides.insert(overrides.end(), sets.begin(), sets.end());
         },
         help)
      ->type_name("PATH=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_cluster(CLI::App& app, std::optional<std::filesystem::path>& cluster,
                 Overrides& overrides) {
  app.add_option("--cluster", cluster, "cluster file (YAML); without it, defaults")
      ->type_name("FILE");
  add_setting(app, overrides, "--ranks", "cluster.ranks",
              "ranks to plan for; without mpirun, ranks to run as threads (default 1)");
  add_setting(app, overrides, "--layers", "cluster.layers",
              "stage cut, one A:B per rank, for example 0:15,15:30; or auto");
  add_setting(app, overrides, "--backend", "cluster.backend",
              "auto, cpu, reference, cuda, cuda:f32, or one instruction set: cpu:amx, cpu:avx512, "
              "cpu:avx2, cpu:sse4, cpu:neon, cpu:scalar");
  add_setting(app, overrides, "--threads", "cluster.threads", "threads of each rank, or auto");
  add_setting(app, overrides, "--memory", "cluster.memory", "limit per rank, for example 24GiB");
}

void add_job(CLI::App& app, CommandLine& line) {
  app.add_option("job", line.job, "job file (YAML)")->required()->type_name("JOB.yaml");
  add_cluster(app, line.cluster, line.overrides);
  add_set(app, line.overrides,
          "change one setting of the job, or with cluster. in front of the cluster file; "
          "for example --set sampling.seed=7 --set cluster.in_flight=4");
  add_setting(app, line.overrides, "--output", "output.dir",
              "folder of the results, instead of the job's output.dir");
}

void add_bench_cases(CLI::App& app, BenchLine& line) {
  app.add_option("-p,--n-prompt", line.prompts, "tokens to read; 0: no such test")
      ->capture_default_str();
  app.add_option("-n,--n-gen", line.generates, "tokens to generate; 0: no such test")
      ->capture_default_str();
  app.add_option("-d,--n-depth", line.depths, "tokens in the cache before")->capture_default_str();
  app.add_option("-b,--sequences", line.sequences, "sequences that generate at the same time")
      ->capture_default_str();
  for (const char* name : {"-p", "-n", "-d", "-b"}) app.get_option(name)->type_name("N,...");
  app.add_option("-r,--repetitions", line.repetitions,
                 "of each test (default 5), or of each document of --scaling (default 2)")
      ->check(CLI::Range(1U, 1000U));
  app.add_flag("--no-warmup", line.no_warm_up, "do not run each test once more, first");
  app.add_option("--chunk", line.chunk, "most rows of a step")
      ->check(CLI::Range(1U, 65536U))
      ->capture_default_str();
  app.add_option("--kv-dtype", line.kv_dtype, "of cached rows: f16, bf16, f32")
      ->type_name("TYPE")
      ->capture_default_str();
}

void add_bench(CLI::App& app, BenchLine& line) {
  app.add_option("-m,--model", line.model, "GGUF file, or Hugging Face folder")
      ->required()
      ->type_name("PATH");
  add_bench_cases(app, line);
  add_cluster(app, line.cluster, line.overrides);
  add_setting(app, line.overrides, "--in-flight", "cluster.in_flight",
              "most steps under way between two ranks");
  add_set(app, line.overrides, "change one setting of the cluster file: cluster.PATH=VALUE");
  app.add_option("-o,--output", line.format, "md, csv or json")
      ->type_name("FORMAT")
      ->capture_default_str();
  CLI::Option* scaling =
      app.add_option("--scaling", line.scaling, "read a document on each count of ranks: 1,2,4")
          ->type_name("N,...");
  app.add_option("--scaling-tokens", line.scaling_tokens,
                 "of the largest document (default 8192, or what the context holds)")
      ->check(CLI::Range(1U, 1U << 24U))
      ->needs(scaling);
  app.add_option("--hostfile", line.hostfile, "start the ranks of --scaling on these machines")
      ->type_name("FILE")
      ->needs(scaling);
  for (const char* name : {"-p", "-n", "-d", "-b", "--ranks", "--layers", "--no-warmup"}) {
    scaling->excludes(app.get_option(name));
  }
}

void add_inspect(CLI::App& app, InspectLine& line) {
  app.add_option("run", line.run, "a run's output folder, or the run.json in it")
      ->required()
      ->type_name("PATH");
  app.add_option("-o,--output", line.page, "the page (default: audit.html beside run.json)")
      ->type_name("FILE");
}

int parse_and_run(int argc, char** argv) {
  CLI::App app{"varve: long documents, many questions, layers sharded over ranks", "varve"};
  app.set_version_flag("--version", VARVE_VERSION);
  app.require_subcommand(1);
  app.footer(std::string(kExamples) + kFooter);
  CommandLine line;
  BenchLine bench_line;

  CLI::App* run = app.add_subcommand(
      "run",
      "Answer a job's questions. Under mpirun each rank runs a share of the layers, else they are "
      "threads.");
  CLI::App* plan = app.add_subcommand(
      "plan", "Print what each rank would hold and send, before any weight is read.");
  CLI::App* validate = app.add_subcommand(
      "validate",
      "List everything that is wrong with a job, or an evaluation, and its cluster file.");
  for (CLI::App* command : {run, plan, validate}) {
    add_job(*command, line);
    command->footer(kFooter);
  }
  CLI::App* bench = app.add_subcommand(
      "bench", "Measure a model's speed here, against what the machine can do at most.");
  add_bench(*bench, bench_line);
  bench->footer(std::string(kBench) + kFooter);
  CLI::App* eval = app.add_subcommand(
      "eval", "Measure what cache policies cost in quality, on documents made for it.");
  add_job(*eval, line);
  eval->footer(std::string(kEval) + kFooter);
  CLI::App* doctor = app.add_subcommand(
      "doctor", "Look for what would keep these machines from working together, and what to set.");
  add_cluster(*doctor, line.cluster, line.overrides);
  doctor->footer(std::string(kDoctor) + kFooter);
  InspectLine inspect_line;
  CLI::App* inspect = app.add_subcommand(
      "inspect", "Show what a run's cache kept and what its answers looked at, as a page.");
  add_inspect(*inspect, inspect_line);
  inspect->footer(std::string(kInspect) + kFooter);
  std::string method;
  CLI::App* methods =
      app.add_subcommand("methods", "List the cache policies and what they are made of.");
  methods
      ->add_subcommand("show", "Say what one policy does, when memory falls, what it is made of.")
      ->add_option("name", method, "a policy of the list")
      ->required()
      ->type_name("NAME");
  run->footer(std::string(kAnswers) + kFooter);
  plan->add_flag("--json", line.json, "print the plan as JSON");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(varve::ExitCode::kUsage);
  }
  if (run->parsed()) return varve::run_command(line);
  if (plan->parsed()) return varve::plan_command(line);
  if (eval->parsed()) return varve::eval_command(line);
  if (doctor->parsed()) return varve::doctor_command(line);
  if (bench->parsed()) return varve::bench_command(bench_line);
  if (inspect->parsed()) return varve::inspect_command(inspect_line);
  if (methods->parsed()) return varve::methods_command(method);
  return varve::validate_command(line);
}

// What was printed must have arrived: a plan on a full disk is no plan.
int flushed(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "varve: standard output cannot be written\n");
  return code != 0 ? code : static_cast<int>(varve::ExitCode::kUsage);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return flushed(parse_and_run(argc, argv));
  } catch (const varve::Error& e) {
    std::fprintf(stderr, "varve: %s\n", e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "varve: internal error: %s\n", e.what());
    return static_cast<int>(varve::ExitCode::kOther);
  }
}
