// The command line. Options that name a setting of the cluster file are short for its override, so
// there is one place where a setting is read and checked.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <functional>

#include "common/error.h"
#include "coordinator/cli/command_line.h"

namespace {

using varve::CommandLine;

constexpr const char* kExamples =
    "Examples:\n"
    "  varve plan job.yaml --ranks 4\n"
    "  varve run job.yaml\n"
    "  mpirun --bind-to none -np 4 varve run job.yaml\n\n";
constexpr const char* kAnswers =
    "The answers go to results.jsonl in the job's output.dir, what the run did to run.json there,\n"
    "a table to standard output, plan and progress to standard error.\n\n";
constexpr const char* kFooter =
    "configs/jobs/document_qa.yaml and configs/clusters/local.yaml name every setting.\n\n"
    "Exit codes: 0 done, 1 other failure, 2 command line, job or input file, 3 does not fit,\n"
    "5 a rank was lost, 130 interrupted, 143 terminated.\n";

void add_setting(CLI::App& app, CommandLine& line, const std::string& flag, const std::string& path,
                 const std::string& help) {
  app.add_option_function<std::string>(
         flag,
         [&line, path](const std::string& value) { line.overrides.push_back(path + "=" + value); },
         help)
      ->type_name("VALUE");
}

void add_common(CLI::App& app, CommandLine& line) {
  app.add_option("job", line.job, "job file (YAML)")->required()->type_name("JOB.yaml");
  app.add_option("--cluster", line.cluster, "cluster file (YAML); without it, defaults")
      ->type_name("FILE");
  app.add_option_function<std::vector<std::string>>(
         "--set",
         [&line](const std::vector<std::string>& sets) {
           line.overrides.insert(line.overrides.end(), sets.begin(), sets.end());
         },
         "change one setting of the job, or with cluster. in front of the cluster file; "
         "for example --set sampling.seed=7 --set cluster.in_flight=4")
      ->type_name("PATH=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_setting(app, line, "--ranks", "cluster.ranks",
              "ranks to plan for; without mpirun, ranks to run as threads (default 1)");
  add_setting(app, line, "--layers", "cluster.layers",
              "stage cut, one A:B per rank, for example 0:15,15:30; or auto");
  add_setting(app, line, "--backend", "cluster.backend", "auto, cpu, reference, cuda");
  add_setting(app, line, "--threads", "cluster.threads", "threads of each rank, or auto");
  add_setting(app, line, "--memory", "cluster.memory", "limit per rank, for example 24GiB");
  add_setting(app, line, "--output", "output.dir",
              "folder of the results, instead of the job's output.dir");
}

int parse_and_run(int argc, char** argv) {
  CLI::App app{"varve: long documents, many questions, layers sharded over ranks", "varve"};
  app.set_version_flag("--version", VARVE_VERSION);
  app.require_subcommand(1);
  app.footer(std::string(kExamples) + kFooter);
  CommandLine line;

  CLI::App* run = app.add_subcommand(
      "run",
      "Answer a job's questions. Under mpirun each rank runs a share of the layers, else they are "
      "threads.");
  CLI::App* plan = app.add_subcommand(
      "plan", "Print what each rank would hold and send, before any weight is read.");
  CLI::App* validate = app.add_subcommand(
      "validate", "List everything that is wrong with a job and its cluster file.");
  for (CLI::App* command : {run, plan, validate}) {
    add_common(*command, line);
    command->footer(kFooter);
  }
  run->footer(std::string(kAnswers) + kFooter);
  plan->add_flag("--json", line.json, "print the plan as JSON");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(varve::ExitCode::kUsage);
  }
  if (run->parsed()) return varve::run_command(line);
  if (plan->parsed()) return varve::plan_command(line);
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
