// audit.json: an object whose keys stand on a line each.
#pragma once

#include <filesystem>
#include <string>

#include "coordinator/inspect/audit_record.h"

namespace varve {

std::string to_json(const AuditRecord& record);

/// IoError names the file and what is wrong with it.
AuditRecord read_audit(const std::filesystem::path& path);

}  // namespace varve
