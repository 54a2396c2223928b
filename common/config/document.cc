#include "common/config/document.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <memory>
#include <system_error>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "common/units.h"
#include "common/utf8.h"

namespace varve {
namespace {

using namespace literals;  // NOLINT(google-build-using-namespace)

constexpr Bytes kMostBytes = 1_GiB;

std::string escaped_for_glob(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::vector<std::filesystem::path> matches(const std::filesystem::path& folder,
                                           const std::string& pattern) {
  const bool absolute = std::filesystem::path(pattern).is_absolute();
  const std::string whole =
      absolute || folder.empty() ? pattern : escaped_for_glob(folder.string()) + "/" + pattern;
  glob_t found{};
  const int status = ::glob(whole.c_str(), GLOB_NOSORT, nullptr, &found);
  const std::unique_ptr<glob_t, decltype(&::globfree)> release(&found, ::globfree);
  if (status != 0 && status != GLOB_NOMATCH) {
    throw IoError(fmt::format("{}: cannot be searched", whole));
  }
  std::vector<std::filesystem::path> files;
  for (std::size_t i = 0; i < found.gl_pathc; ++i) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(found.gl_pathv[i], ignored)) {
      files.push_back(std::filesystem::path(found.gl_pathv[i]).lexically_normal());
    }
  }
  // Not glob's own order, which depends on the user's language.
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.native() < b.native(); });
  return files;
}

// A tokenizer would read U+FFFD for each wrong byte, and answers about a text in another encoding
// would be worth little.
void check_is_text(std::string_view text, const std::filesystem::path& file) {
  const std::size_t good = valid_utf8_prefix(text);
  if (good == text.size()) return;
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(good), '\n');
  throw IoError(
      fmt::format("{}:{}: is not UTF-8 text: byte {} is 0x{:02x}; convert the file, for example "
                  "with iconv -f latin1 -t utf-8",
                  file.string(), line, good, static_cast<unsigned char>(text[good])));
}

}  // namespace

std::vector<std::filesystem::path> document_files(const DocumentConfig& document) {
  std::vector<std::filesystem::path> files = document.files;
  if (document.glob.empty()) return files;
  const std::vector<std::filesystem::path> found = matches(document.folder, document.glob);
  files.insert(files.end(), found.begin(), found.end());
  return files;
}

Document load_document(const JobConfig& job) {
  Document document;
  if (job.document.text) {
    document.text = *job.document.text;
    document.parts.push_back({});
  }
  for (const std::filesystem::path& file : document_files(job.document)) {
    if (!document.text.empty() && document.text.back() != '\n') document.text += '\n';
    document.parts.push_back({file, document.text.size()});
    const std::uint64_t room = kMostBytes.count - document.text.size();
    if (RegularFile(file).size() > room) {
      throw IoError(fmt::format("{}: makes the document larger than {}", file.string(),
                                to_string(kMostBytes)));
    }
    const std::string part = read_text_file(file, room);
    check_is_text(part, file);
    document.text += part;
  }
  if (document.parts.empty()) {
    throw ConfigError(fmt::format("document: '{}' matches no file", job.document.glob));
  }
  if (document.text.empty()) throw ConfigError("document: is empty, there is nothing to read");
  return document;
}

}  // namespace varve
