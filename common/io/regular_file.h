// An open regular file, and the small ones read whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace varve {

/// A read-only descriptor of a regular file; closes itself.
class RegularFile {
 public:
  /// IoError names the path and why: missing, a folder, not regular (a pipe, a device), or the
  /// operating system's reason ("Permission denied"). Never waits for a pipe's other end.
  explicit RegularFile(std::filesystem::path path);
  ~RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  int descriptor() const { return descriptor_; }
  /// Bytes when it was opened.
  std::uint64_t size() const { return size_; }
  /// The next bytes into `out`; returns how many, 0 at the end.
  std::size_t read(std::span<std::byte> out);
  /// IoError if the file has another size or was written to since it was opened.
  void check_unchanged() const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::chrono::nanoseconds written_{};  // time of the last change to its content
};

/// The bytes of a regular file of at most `max_bytes`. IoError names the path and the cause.
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes);

/// What RegularFile would throw for `path`, or empty: "a/b.txt: no such file".
std::string why_unreadable(const std::filesystem::path& path);

}  // namespace varve
