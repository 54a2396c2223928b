#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include "common/cores.h"
#include "common/error.h"
#include "coordinator/bench/scaling.h"
#include "coordinator/cli/bench_command.h"
#include "coordinator/cli/child_output.h"
#include "worker/comm/mpi_communicator.h"
#include "worker/model/model.h"

namespace varve {
namespace {

constexpr std::uint32_t kMostRanks = 1024;
constexpr std::uint32_t kTokens = 8192;
constexpr std::uint32_t kRepetitions = 2;

// More of mpirun's options, as for cluster/run_hosts.
std::vector<std::string> mpirun_options() {
  const char* text = std::getenv("MPIRUN_OPTIONS");
  std::istringstream words(text == nullptr ? "" : text);
  std::vector<std::string> options;
  for (std::string word; words >> word;) options.push_back(word);
  return options;
}

class Launcher {
 public:
  Launcher(const BenchLine& line, const BenchOptions& options, std::uint32_t most_ranks)
      : line_(line), self_(std::filesystem::read_symlink("/proc/self/exe").string()) {
    if (line.hostfile.empty() && !options.cluster.threads) {
      threads_ = std::max<std::size_t>(usable_cores() / most_ranks, 1);
    }
  }

  /// The words that measure one document on so many ranks, and print the result as JSON.
  std::vector<std::string> words(const ScalingRun& run) const {
    const std::string ranks = std::to_string(run.ranks);
    std::vector<std::string> words;
    if (!line_.hostfile.empty()) {
      words = {"mpirun", "--hostfile", line_.hostfile, "--bind-to", "none", "-np", ranks};
      for (std::string& option : mpirun_options()) words.push_back(std::move(option));
    }
    words.insert(words.end(), {self_, "bench", "-m", line_.model, "-p", std::to_string(run.tokens),
                               "-n", "0", "-o", "json", "--no-warmup", "-r",
                               std::to_string(line_.repetitions.value_or(kRepetitions)), "--chunk",
                               std::to_string(line_.chunk), "--kv-dtype", line_.kv_dtype});
    if (line_.cluster) words.insert(words.end(), {"--cluster", line_.cluster->string()});
    for (const std::string& text : line_.overrides) words.insert(words.end(), {"--set", text});
    if (threads_) words.insert(words.end(), {"--threads", std::to_string(*threads_)});
    if (line_.hostfile.empty()) words.insert(words.end(), {"--ranks", ranks});
    return words;
  }

 private:
  const BenchLine& line_;
  std::string self_;
  std::optional<std::size_t> threads_;  // of each rank: the same for every count of ranks
};

void check_launch(const BenchLine& line) {
  if (const std::optional<Launch> launch = detect_launch()) {
    throw ConfigError(fmt::format(
        "--scaling starts ranks itself, but a launcher started this process ({}); start "
        "it without, and for several machines with --hostfile",
        launch->variable));
  }
  if (!line.hostfile.empty() && access(line.hostfile.c_str(), R_OK) != 0) {
    throw ConfigError(fmt::format("--hostfile {}: no such file that can be read", line.hostfile));
  }
}

std::uint32_t document_tokens(const BenchLine& line, const ModelConfig& model) {
  const std::size_t tokens = line.scaling_tokens.value_or(
      static_cast<std::uint32_t>(std::min<std::size_t>(kTokens, model.context)));
  if (tokens > model.context) {
    throw ConfigError(fmt::format("--scaling-tokens {}: more than the {} of {}'s context", tokens,
                                  model.context, model.name));
  }
  return static_cast<std::uint32_t>(tokens);
}

void note_cores(const BenchLine& line, const BenchOptions& options, std::uint32_t most_ranks) {
  const std::size_t threads = most_ranks * options.cluster.threads.value_or(1);
  if (!line.hostfile.empty() || threads <= usable_cores()) return;
  std::fprintf(stderr,
               "varve: %zu threads on %zu cores take turns: what this shows of %u ranks holds for "
               "this machine alone\n",
               threads, usable_cores(), most_ranks);
}

}  // namespace

int scaling_command(const BenchLine& line) {
  check_launch(line);
  const std::vector<std::uint32_t> ranks = parse_counts("--scaling", line.scaling, 1, kMostRanks);
  const std::uint32_t most_ranks = *std::max_element(ranks.begin(), ranks.end());
  const BenchOptions options = bench_options(line);
  const Model model = load_model_header(line.model);
  const std::vector<ScalingRun> runs = scaling_runs(ranks, document_tokens(line, model.config()));
  note_cores(line, options, most_ranks);
  const Launcher launcher(line, options, most_ranks);
  std::map<std::pair<std::uint32_t, std::uint32_t>, ScalingPoint> measured;
  std::vector<ScalingPoint> points;
  for (const ScalingRun& run : runs) {
    const auto key = std::pair(run.ranks, run.tokens);
    if (!measured.contains(key)) {
      const ChildOutput ended = run_child(launcher.words(run));
      if (ended.code != 0) return ended.code;  // it has said why
      measured.emplace(key, read_point(ended.out));
    }
    points.push_back(measured.at(key));
  }
  const std::string table =
      scaling_table(model.config().name, scaling_rows(runs, points), options.format);
  std::fputs(table.c_str(), stdout);
  return 0;
}

}  // namespace varve
