// What is wrong with a set of machines, or will be slow, and what to set.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "coordinator/doctor/machine_facts.h"
#include "coordinator/doctor/pair_trials.h"

namespace varve {

struct Finding {
  bool fatal = false;  // a run would fail; else it may be slow or surprise
  std::string text;    // what, where
  std::string remedy;  // what to do or to set
};

/// `messages` are through MPI or threads, `devices` through NCCL; either may be empty.
std::vector<Finding> find_trouble(std::span<const MachineFacts> ranks,
                                  std::span<const PairTrial> messages,
                                  std::span<const PairTrial> devices);

/// The whole report, for people.
std::string doctor_report(std::span<const MachineFacts> ranks, std::span<const PairTrial> messages,
                          std::span<const PairTrial> devices, std::span<const Finding> findings);

}  // namespace varve
