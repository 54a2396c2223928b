// Where a job's results go, checked before any work is done.
#pragma once

#include <filesystem>

namespace varve {

struct OutputPaths {
  std::filesystem::path dir;
  std::filesystem::path results;     // results.jsonl
  std::filesystem::path run;         // run.json
  std::filesystem::path verdict;     // verdict.json
  std::filesystem::path checkpoint;  // checkpoint.bin
  std::filesystem::path audit;       // audit.json
};
OutputPaths output_paths(const std::filesystem::path& dir);

/// Makes the folder if need be and sees that a file can be written in it; leaves nothing behind and
/// touches no earlier results. IoError names the path and the system's reason; ConfigError if there
/// are results already and `overwrite` is false.
OutputPaths prepare_output_dir(const std::filesystem::path& dir, bool overwrite);

}  // namespace varve
