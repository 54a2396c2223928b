#pragma once

#include <nccl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/fakes/nccl_link.h"

namespace varve::fakes {

/// What ranks tell each other when they meet.
struct Hello {
  std::int32_t rank;
  std::int32_t size;
  std::int32_t device;  // of the machine
  std::int32_t color;   // of ncclCommSplit
  std::int32_t key;
};

/// Ranks that look for each other: a socket between each two. There is no root; a rank's address
/// follows from the name that they share, in the abstract namespace of local sockets, so nothing is
/// left behind.
class Mesh {
 public:
  Mesh(std::string name, const Hello& self);

  /// ncclInProgress until all have met, then ncclSuccess. Any other: why() tells.
  ncclResult_t advance();
  const std::string& why() const { return why_; }
  /// By rank. Not before success.
  const std::vector<Hello>& hellos() const { return hellos_; }
  Socket take(int rank) { return std::move(sockets_[static_cast<std::size_t>(rank)]); }
  std::string missing() const;

 private:
  bool listen();
  void connect_to_lower();
  void accept_higher();
  void read_hellos();
  bool met(std::size_t rank) const { return hellos_[rank].size != 0; }
  ncclResult_t fail(ncclResult_t result, std::string why);

  std::string name_;
  Hello self_;
  Socket listener_;
  std::vector<Socket> sockets_;  // by rank
  std::vector<Hello> hellos_;    // by rank; size 0: not met
  std::vector<Socket> unknown_;  // accepted, not heard of
  ncclResult_t result_ = ncclInProgress;
  std::string why_;
};

}  // namespace varve::fakes
