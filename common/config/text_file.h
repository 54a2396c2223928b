// Small files, whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/units.h"

namespace varve {

/// The bytes of a regular file of at most `most`. IoError names the path and the cause.
std::string read_text_file(const std::filesystem::path& path, Bytes most);

/// The cause why `path` cannot be read as a regular file, or empty: "a/b.txt: no such file".
std::string why_unreadable(const std::filesystem::path& path);

bool is_utf8(std::string_view text);

}  // namespace varve
