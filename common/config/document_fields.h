// Reading `document:`.
#pragma once

#include "common/config/job_config.h"
#include "common/config/reader.h"

namespace varve {

/// With `check_files`, files that are missing or unreadable, a glob without a match and a document
/// without a byte are problems too.
void read_document_fields(const ConfigNode& node, bool check_files, DocumentConfig& out);

}  // namespace varve
