// A file as memory. Pages are read from disk when they are first touched, so opening is cheap
// whatever the size, and processes on one machine share the page cache.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "common/io/regular_file.h"

namespace varve {

/// A read-only mapping of a whole file. It must stay as it is while it is mapped: touching a page
/// that went away, because the file was truncated or its disk failed, ends the process (SIGBUS).
/// check_unchanged() before a part is read makes that an error but for a moment. Replacing the file
/// by rename is safe.
class MappedFile {
 public:
  enum class Access {
    kSequential,  // read ahead generously, from front to back
    kRandom,      // do not read ahead
    kWillNeed,    // start to read now
    kDontNeed,    // give the memory back; the next touch reads the file again
  };

  /// IoError names the path and why: missing, a folder, empty, unreadable.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  /// Never empty; page-aligned.
  std::span<const std::byte> bytes() const { return bytes_; }
  /// Whether `address` lies in bytes().
  bool holds(const void* address) const;

  /// IoError if the file has another size or was written to since it was mapped.
  void check_unchanged() const { file_->check_unchanged(); }

  /// Tells the kernel how `part`, which must lie in bytes(), will be used. A hint: never fails.
  void advise(Access access, std::span<const std::byte> part) const;

 private:
  std::unique_ptr<RegularFile> file_;
  std::span<const std::byte> bytes_;
};

}  // namespace varve
