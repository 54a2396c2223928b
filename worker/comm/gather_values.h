// Communicator::gather of values that have a `visit`.
#pragma once

#include <string_view>
#include <vector>

#include "common/wire/archive.h"
#include "worker/comm/communicator.h"

namespace varve {

/// At `root`: what each rank passed, by rank. Elsewhere: empty. `name` is for the error of a
/// message that is none.
template <class T>
std::vector<T> gather_values(Communicator& comm, const T& mine, int root, Tag tag, Waiting waiting,
                             std::string_view name) {
  std::vector<T> all;
  for (const auto& bytes : comm.gather(to_bytes(mine), root, tag, waiting)) {
    all.push_back(from_bytes<T>(bytes, name));
  }
  return all;
}

}  // namespace varve
