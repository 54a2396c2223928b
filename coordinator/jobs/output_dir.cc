#include "coordinator/jobs/output_dir.h"

#include "common/error.h"
#include "coordinator/jobs/atomic_file.h"

namespace varve {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) {
    throw IoError(fmt::format("{}: the output folder cannot be made: {}; choose another output.dir",
                              dir.string(), errno_text(error.value())));
  }
  if (!fs::is_directory(dir, error)) {
    throw IoError(fmt::format("{}: the output folder is not a folder", dir.string()));
  }
}

// Only a write tells: permissions do not know of read-only mounts and full disks.
void try_to_write(const fs::path& dir) {
  const fs::path probe = dir / ".varve-probe";
  try {
    write_file_atomically(probe, "varve\n");
  } catch (const IoError& error) {
    throw IoError(
        fmt::format("{}: nothing can be written into the output folder; choose another "
                    "output.dir, or make room ({})",
                    dir.string(), error.what()));
  }
  std::error_code ignored;
  fs::remove(probe, ignored);
}

void check_file(const fs::path& file, bool overwrite) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (fs::is_directory(status)) {
    throw IoError(
        fmt::format("{}: is a folder; results go into a file of that name", file.string()));
  }
  if (fs::exists(status) && !overwrite) {
    throw ConfigError(
        fmt::format("{}: is there from an earlier run; choose another output.dir, or "
                    "set output.overwrite: true",
                    file.string()));
  }
}

}  // namespace

OutputPaths output_paths(const fs::path& dir) {
  return {dir,
          dir / "results.jsonl",
          dir / "run.json",
          dir / "verdict.json",
          dir / "checkpoint.bin",
          dir / "audit.json"};
}

OutputPaths prepare_output_dir(const fs::path& dir, bool overwrite) {
  make_folder(dir);
  const OutputPaths paths = output_paths(dir);
  for (const fs::path& file : {paths.results, paths.run, paths.verdict, paths.audit}) {
    check_file(file, overwrite);
  }
  try_to_write(dir);
  return paths;
}

}  // namespace varve
