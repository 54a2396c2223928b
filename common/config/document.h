// The document of a job, as one text.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "common/config/job_config.h"

namespace varve {

struct DocumentPart {
  std::filesystem::path file;  // empty for a text in the job file
  std::size_t offset = 0;      // of its first byte in the document
};

struct Document {
  std::string text;  // the bytes of the files: UTF-8
  std::vector<DocumentPart> parts;
};

/// The files in their order, then those that the glob matches, sorted by name as bytes; folders
/// that it matches are left out.
std::vector<std::filesystem::path> document_files(const DocumentConfig& document);

/// Joins the files; where one does not end with a line feed, one is put before the next. At most
/// 1 GiB. IoError or ConfigError when a file cannot be read or is not UTF-8, the glob matches none,
/// or there is no text at all.
Document load_document(const JobConfig& job);

}  // namespace varve
