// Files that are whole or not there.
#pragma once

#include <filesystem>
#include <string_view>

namespace varve {

/// Replaces `path` by `text`: written beside it, synced, renamed. IoError names the path and the
/// system's reason; then what was there before is still there.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// The system's words for an errno, without the number: "No space left on device".
std::string errno_text(int error);

}  // namespace varve
