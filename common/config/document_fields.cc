#include "common/config/document_fields.h"

#include <fmt/format.h>

#include <cstdint>
#include <system_error>

#include "common/config/document.h"
#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/regular_file.h"

namespace varve {
namespace {

class DocumentReader {
 public:
  DocumentReader(bool check_files, DocumentConfig& out) : check_files_(check_files), out_(out) {}

  void read(const ConfigNode& node) {
    if (node.is_map()) {
      node.read_map([&](ConfigMap& map) { read_sources(node, map); });
    } else if (node.is_list()) {
      read_files(node);
    } else {
      read_file(node);
    }
    if (check_files_ && good_ && node.exists()) check_not_empty(node);
  }

 private:
  void read_sources(const ConfigNode& node, ConfigMap& map) {
    const ConfigNode text = map.at("text");
    const ConfigNode files = map.at("files");
    const ConfigNode glob = map.at("glob");
    if (text.exists() == (files.exists() || glob.exists())) {
      fail(node, "give either text, or files, glob, or both of them");
      return;
    }
    if (text.exists()) read_text(text);
    if (files.exists()) read_files(files);
    if (glob.exists()) read_glob(glob);
  }

  void read_text(const ConfigNode& node) {
    std::string text;
    if (!node.read(text)) return;
    if (text.empty()) fail(node, "is empty, there is nothing to read");
    out_.text = text;
  }

  void read_files(const ConfigNode& node) {
    if (node.is_scalar()) return read_file(node);
    const std::vector<ConfigNode> items = node.read_list();
    if (node.is_list() && items.empty()) fail(node, "must name at least one file");
    for (const ConfigNode& item : items) read_file(item);
  }

  void read_file(const ConfigNode& node) {
    std::filesystem::path file;
    if (!node.read_path(file)) {
      good_ = false;
      return;
    }
    out_.files.push_back(file);
    if (!check_files_) return;
    if (const std::string why = why_unreadable(file); !why.empty()) fail(node, why);
  }

  void read_glob(const ConfigNode& node) {
    std::filesystem::path whole;
    if (!node.read_path(whole) || !node.read(out_.glob)) {
      good_ = false;
      return;
    }
    // The folder may hold characters that a pattern would take for its own: kept apart from it.
    out_.folder = node.base();
    if (out_.glob.starts_with('~')) out_.glob = whole.string();
    if (!check_files_) return;
    try {
      DocumentConfig alone;
      alone.folder = out_.folder;
      alone.glob = out_.glob;
      const std::vector<std::filesystem::path> found = document_files(alone);
      if (found.empty()) fail(node, fmt::format("{} matches no file", in_quotes(out_.glob)));
      for (const auto& file : found) {
        if (const std::string why = why_unreadable(file); !why.empty()) fail(node, why);
      }
    } catch (const IoError& error) {
      fail(node, error.what());
    }
  }

  void check_not_empty(const ConfigNode& node) {
    if (out_.text) return;
    std::uintmax_t total = 0;
    for (const auto& file : document_files(out_)) {
      std::error_code failed;
      const std::uintmax_t size = std::filesystem::file_size(file, failed);
      if (failed) return;
      total += size;
    }
    if (total == 0) node.problem("is empty, there is nothing to read");
  }

  void fail(const ConfigNode& node, std::string_view text) {
    node.problem(text);
    good_ = false;
  }

  bool check_files_;
  DocumentConfig& out_;
  bool good_ = true;
};

}  // namespace

void read_document_fields(const ConfigNode& node, bool check_files, DocumentConfig& out) {
  DocumentReader(check_files, out).read(node);
}

}  // namespace varve
