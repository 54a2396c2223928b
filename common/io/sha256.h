// SHA-256 (FIPS 180-4) as lower-case hex: what run.json and the model fetch call a hash.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace varve {

std::string sha256_hex(std::span<const std::byte> bytes);

/// Reads the file once, in blocks. IoError names the path and why it cannot be read.
std::string sha256_hex(const std::filesystem::path& path);

}  // namespace varve
