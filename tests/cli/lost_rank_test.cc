// Kills and stops each rank of real runs under mpirun, in each phase: one verdict, which names the
// rank; everybody ends, soon; mpirun returns 5.
//
// VARVE_LOST_RANK_LAYERS leaves the model so many of its layers, VARVE_LOST_RANK_OPTIONS are for
// the command line. VARVE_LOST_RANK_ROUNDS does each that often and prints the seconds, for the
// table in docs/mpi-failures.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/first_layers.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int kRanks = 3;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Process {
  pid_t pid;
  pid_t parent;
  int rank;
};

// Processes of this program whose command line has `mark`.
std::vector<Process> processes_of(const std::string& mark) {
  std::vector<Process> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string command = read_file(entry.path() / "cmdline");
    if (!command.starts_with(VARVE_PROGRAM) || command.find(mark) == std::string::npos) continue;
    const std::string environment = read_file(entry.path() / "environ");
    const std::string stat = read_file(entry.path() / "stat");
    const std::string key("OMPI_COMM_WORLD_RANK=");
    const std::size_t at = environment.find(key);
    const std::size_t state = stat.rfind(") ");
    if (at == std::string::npos || state == std::string::npos) continue;
    found.push_back({std::atoi(name.c_str()), std::atoi(stat.c_str() + state + 4),
                     std::atoi(environment.c_str() + at + key.size())});
  }
  return found;
}

// The process that is the rank, and not its supervisor; -1 if there is none yet.
pid_t rank_process(const std::vector<Process>& all, int rank) {
  for (const Process& child : all) {
    const auto is_parent = [&](const Process& p) { return p.pid == child.parent; };
    if (child.rank == rank && std::any_of(all.begin(), all.end(), is_parent)) return child.pid;
  }
  return -1;
}

struct Phase {
  const char* name;
  std::string begins;  // what the output shows then; empty: as soon as the process is there
  std::string ends;    // what it shows once it is over
};

struct Case {
  Phase phase;
  int rank;
  int signal;
};

std::string name_of(const Case& c) {
  return std::string(c.phase.name) + (c.signal == SIGKILL ? "_kill" : "_stop") + "_rank_" +
         std::to_string(c.rank);
}
void PrintTo(const Case& c, std::ostream* out) {
  *out << name_of(c);
}

class Run : public testing::Test {
 protected:
  void SetUp() override {
    const char* named = std::getenv("VARVE_SMOLLM2");
    if (named == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
    fs::path model = named;
    if (const char* layers = std::getenv("VARVE_LOST_RANK_LAYERS")) {
      model = folder_.path() / "m.gguf";
      write_first_layers(named, model, static_cast<std::uint32_t>(std::atoi(layers)));
    }
    std::ofstream document(folder_.path() / "document.txt");
    for (int i = 0; i < 40; ++i) document << "In the beginning God created " << i << ".\n";
    std::ofstream(folder_.path() / "job.yaml")
        << "model: " << model.string()
        << "\ndocument: document.txt\nquestions: [What, Who, Where]\n"
        << "sampling: {max_tokens: 2000, temperature: 2}\nprefill: {chunk: 64}\noutput: {dir: "
           "out}\n";
  }
  void TearDown() override { clear(); }

  void clear() {
    if (launcher_ > 0) {
      kill(launcher_, SIGKILL);
      waitpid(std::exchange(launcher_, -1), nullptr, 0);
    }
    for (const Process& process : processes()) kill(process.pid, SIGKILL);
  }
  std::vector<Process> processes() const { return processes_of(folder_.path().string()); }

  void start_under_mpirun() { start(VARVE_MPI_LAUNCH " " + std::to_string(kRanks) + " "); }
  void start(const std::string& launch) {
    const char* options = std::getenv("VARVE_LOST_RANK_OPTIONS");
    const std::string command =
        "exec " + launch + VARVE_PROGRAM + " run " + (folder_.path() / "job.yaml").string() +
        " --set cluster.deadlines.peer=3s --threads 1 " + (options == nullptr ? "" : options) +
        " >" + log().string() + " 2>&1";
    std::ofstream(log()).close();
    launcher_ = fork();
    if (launcher_ == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
  }
  fs::path log() const { return folder_.path() / "log"; }
  bool shows(const std::string& words) const {
    return read_file(log()).find(words) != std::string::npos;
  }
  bool wait_for(const std::string& words) const {
    const auto by = std::chrono::steady_clock::now() + 60s;
    while (!shows(words) && std::chrono::steady_clock::now() < by) {
      std::this_thread::sleep_for(10ms);
    }
    return shows(words);
  }
  // The rank's process when the phase has begun; -1 if it never does.
  pid_t wait_for(const Case& c) const {
    const auto by = std::chrono::steady_clock::now() + 60s;
    pid_t rank = -1;
    while (std::chrono::steady_clock::now() < by) {
      if (rank < 0) rank = rank_process(processes(), c.rank);
      if (rank > 0 && shows(c.phase.begins)) return rank;
      std::this_thread::sleep_for(1ms);
    }
    return -1;
  }
  // Waits for mpirun's end: its exit code, -1 if a signal ended it.
  int wait() {
    int status = 0;
    waitpid(std::exchange(launcher_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::vector<std::string> verdicts() const {
    std::vector<std::string> found;
    std::istringstream lines(read_file(log()));
    const std::regex verdict("varve: .*\\(exit code [0-9]+\\)");
    for (std::string line; std::getline(lines, line);) {
      if (std::regex_search(line, verdict)) found.push_back(line);
    }
    return found;
  }
  // mpirun does not wait for what it has killed.
  bool all_gone() const {
    for (int i = 0; i < 50 && !processes().empty(); ++i) std::this_thread::sleep_for(10ms);
    return processes().empty();
  }

  TempFolder folder_;
  pid_t launcher_ = -1;
};

class LostRank : public Run, public testing::WithParamInterface<Case> {
 protected:
  double round(const Case& c, bool& in_phase);
};

// One run: the seconds from the event to mpirun's end. Not `in_phase` if the phase was over before
// the rank was hit, which only the end of the output tells.
double LostRank::round(const Case& c, bool& in_phase) {
  start_under_mpirun();
  const pid_t victim = wait_for(c);
  EXPECT_GT(victim, 0) << read_file(log());
  if (victim <= 0) return 0;
  EXPECT_EQ(kill(victim, c.signal), 0);
  const auto begin = std::chrono::steady_clock::now();
  const int code = wait();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  in_phase = !shows(c.phase.ends);
  if (!in_phase) return 0;
  EXPECT_EQ(code, 5) << read_file(log());
  // The bound that the deadline of 3 s is to keep; a launcher that hangs would run into it.
  EXPECT_LT(took, 5s) << read_file(log());
  EXPECT_THAT(verdicts(), testing::ElementsAre(testing::ContainsRegex(
                              "varve: rank " + std::to_string(c.rank) + " on .*exit code 5")))
      << read_file(log());
  EXPECT_TRUE(all_gone()) << "left behind";
  return took.count();
}

TEST_P(LostRank, IsNamedAndEverybodyEnds) {
  const Case c = GetParam();
  const char* asked = std::getenv("VARVE_LOST_RANK_ROUNDS");
  const int rounds = asked == nullptr ? 1 : std::max(1, std::atoi(asked));
  std::vector<double> seconds;
  for (int tries = 0; std::ssize(seconds) < rounds && tries < 5 * rounds && !HasFailure();
       ++tries) {
    bool in_phase = false;
    const double took = round(c, in_phase);
    if (in_phase) seconds.push_back(took);
    clear();
  }
  ASSERT_EQ(std::ssize(seconds), rounds) << "the phase was over too soon";
  std::sort(seconds.begin(), seconds.end());
  std::printf("%-20s median %.2f s, worst %.2f s of %d\n", name_of(c).c_str(),
              seconds[seconds.size() / 2], seconds.back(), rounds);
}

using Signals = Run;
using BadFile = Run;

TEST_F(Signals, EndARunOfThreadsWithTheirCode) {
  struct Sent {
    int signal;
    int code;
    const char* verdict;
  };
  for (const Sent& sent : {Sent{SIGINT, 130, "varve: interrupted by SIGINT (exit code 130)"},
                           Sent{SIGTERM, 143, "varve: terminated by SIGTERM (exit code 143)"}}) {
    start("");
    ASSERT_TRUE(wait_for("prefill 64/")) << read_file(log());
    kill(launcher_, sent.signal);
    EXPECT_EQ(wait(), sent.code);
    EXPECT_THAT(verdicts(), testing::ElementsAre(sent.verdict));
  }
}

// mpirun returns 1 then, whatever the ranks do.
TEST_F(Signals, ToMpirunEndTheRunWithOneVerdict) {
  start_under_mpirun();
  ASSERT_TRUE(wait_for("prefill 64/")) << read_file(log());
  kill(launcher_, SIGTERM);
  EXPECT_EQ(wait(), 1);
  EXPECT_THAT(verdicts(), testing::ElementsAre("varve: terminated by SIGTERM (exit code 143)"));
  EXPECT_TRUE(all_gone());
}

TEST_F(Signals, ToOneRankAreItsFailure) {
  start_under_mpirun();
  ASSERT_TRUE(wait_for("prefill 64/")) << read_file(log());
  kill(rank_process(processes(), 1), SIGTERM);
  EXPECT_EQ(wait(), 143);
  EXPECT_THAT(verdicts(), testing::ElementsAre(testing::ContainsRegex(
                              "varve: rank 1 on .* failed: terminated by SIGTERM")));
  EXPECT_TRUE(all_gone());
}

// Only rank 0 reads the files.
TEST_F(BadFile, AMistakeInAFileIsSaidOnceAndEndsAllRanks) {
  std::ofstream(folder_.path() / "job.yaml", std::ios::app) << "no_such_key: 1\n";
  start_under_mpirun();
  EXPECT_EQ(wait(), 2);
  const std::string output = read_file(log());
  const std::size_t first = output.find("no_such_key");
  ASSERT_NE(first, std::string::npos) << output;
  EXPECT_EQ(output.find("varve: "), output.rfind("varve: ")) << output;
  EXPECT_EQ(output.find("unknown key"), output.rfind("unknown key")) << output;
  EXPECT_THAT(verdicts(), testing::IsEmpty());
}

std::vector<Case> cases() {
  // The plan is printed right before the orders go out, progress once every rank has loaded.
  const std::vector<Phase> phases{{"start", "", "largest document: "},
                                  {"load", "\n  largest document: ", "\nprefill "},
                                  {"prefill", "prefill 64/", "\ndecode "},
                                  {"decode", "\ndecode ", "results: "}};
  std::vector<Case> all;
  for (const Phase& phase : phases) {
    for (const int signal : {SIGKILL, SIGSTOP}) {
      for (int rank = 0; rank < kRanks; ++rank) all.push_back({phase, rank, signal});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Phases, LostRank, testing::ValuesIn(cases()),
                         [](const auto& param) { return name_of(param.param); });

}  // namespace
}  // namespace varve
