// Every tag of the program, grouped by protocol: a collision shows in review.
#pragma once

#include <cstdint>
#include <string_view>

namespace varve {

enum class Tag : std::uint8_t {
  // Start-up, rank 0 -> all and back.
  kBootstrap,  // where the control server is; later, who is on which host
  kMachines,   // what each rank's machine has
  kOrders,     // what each rank is to run
  kPlan,       // this rank holds what the plan gave it
  kLink,       // between two ranks: how to connect their devices

  // The activation channel, stage s -> s + 1; credits come back.
  kStepHeader,
  kActivations,
  kCredit,

  // Last stage -> stage 0: sampled tokens.
  kTokens,

  // All -> last stage -> all: what a cache policy must know of every layer before it compacts.
  kStatistics,

  // Each stage -> each other: what probes paid to the rows of a stream.
  kScores,

  // What stages hold of a document, all -> stage 0 and back.
  kSaved,

  // End of the run, all -> rank 0.
  kReport,

  kTrial,  // of varve doctor: bytes of no meaning

  kTest,  // for the tests of the transports alone
  kCount,
};

std::string_view tag_name(Tag tag);

}  // namespace varve
