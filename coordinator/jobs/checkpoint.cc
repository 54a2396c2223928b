#include "coordinator/jobs/checkpoint.h"

#include <string_view>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "common/io/sha256.h"
#include "common/wire/archive.h"
#include "coordinator/jobs/atomic_file.h"

namespace varve {
namespace {

// Then the checksum of what follows, in hexadecimal digits, and what follows.
constexpr std::string_view kMagic = "varve checkpoint 2\n";
constexpr std::size_t kChecksum = 64;
constexpr std::size_t kMostBytes = std::size_t{1} << 40;

struct Content {
  std::string fingerprint;
  std::uint64_t rows = 0;
  double seconds = 0;
  std::vector<std::vector<std::byte>> parts;
};
template <class A>
void visit(A& a, Content& c) {
  a(c.fingerprint, c.rows, c.seconds, c.parts);
}

std::string_view as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

CheckpointFile::CheckpointFile(std::filesystem::path path, std::string fingerprint)
    : path_(std::move(path)), fingerprint_(std::move(fingerprint)) {}

std::optional<Checkpoint> CheckpointFile::read(std::string& reason) const {
  std::error_code ignored;
  if (!std::filesystem::exists(path_, ignored)) return std::nullopt;
  const std::string file = read_text_file(path_, kMostBytes);
  const std::string_view text = file;
  if (!text.starts_with("varve checkpoint ")) {
    throw IoError(fmt::format("{}: is no checkpoint of varve; move it away", path_.string()));
  }
  if (!text.starts_with(kMagic)) {
    reason = "it is of another version of varve";
    return std::nullopt;
  }
  const std::string_view checksum = text.substr(kMagic.size(), kChecksum);
  const auto body = std::as_bytes(std::span(text.substr(kMagic.size() + checksum.size())));
  if (sha256_hex(body) != checksum) {
    throw IoError(
        fmt::format("{}: is damaged: its checksum does not match; delete it, and the "
                    "document is read from the beginning",
                    path_.string()));
  }
  Content content = from_bytes<Content>(body, "checkpoint");
  if (content.fingerprint != fingerprint_) {
    reason = "it is of another document, question, model, cache policy or number of ranks";
    return std::nullopt;
  }
  return Checkpoint{content.rows, content.seconds, std::move(content.parts)};
}

void CheckpointFile::write(const Checkpoint& checkpoint) const {
  const std::vector<std::byte> body =
      to_bytes(Content{fingerprint_, checkpoint.rows, checkpoint.seconds, checkpoint.parts});
  std::string text(kMagic);
  text += sha256_hex(body);
  text += as_text(body);
  write_file_atomically(path_, text);
}

void CheckpointFile::remove() const {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace varve
