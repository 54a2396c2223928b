// The state of a job whose document takes hours, on disk, so that a run that was stopped goes on
// where it was. One file, whole or not there, that says itself whether it is of this job.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace varve {

struct Checkpoint {
  std::uint64_t rows = 0;                     // of the prefix that were read
  double seconds = 0;                         // that this took, over all runs
  std::vector<std::vector<std::byte>> parts;  // by rank: StageCache::save
};

class CheckpointFile {
 public:
  /// `fingerprint` names everything that the parts depend on.
  CheckpointFile(std::filesystem::path path, std::string fingerprint);

  /// Nothing if there is no file. `reason` says so if there is one of something else, which is then
  /// of no use: "it is of another job". IoError if it cannot be read or is damaged.
  std::optional<Checkpoint> read(std::string& reason) const;
  /// Replaces the file. IoError.
  void write(const Checkpoint& checkpoint) const;
  void remove() const;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::string fingerprint_;
};

}  // namespace varve
