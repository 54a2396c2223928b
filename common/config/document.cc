#include "common/config/document.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <memory>
#include <system_error>

#include "common/config/text_file.h"
#include "common/error.h"
#include "common/units.h"

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
    document.text += read_text_file(file, Bytes{kMostBytes.count - document.text.size()});
    if (document.text.size() > kMostBytes.count) {
      throw IoError(
          fmt::format("{}: the document is larger than {}", file.string(), to_string(kMostBytes)));
    }
  }
  if (document.parts.empty()) {
    throw ConfigError(fmt::format("document: '{}' matches no file", job.document.glob));
  }
  if (document.text.empty()) throw ConfigError("document: is empty, there is nothing to read");
  return document;
}

}  // namespace varve
