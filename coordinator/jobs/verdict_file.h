// Why a run ended, for whoever comes later: rank 0 writes it before any rank returns non-zero.
#pragma once

#include <filesystem>
#include <string>

#include "common/error.h"

namespace varve {

struct VerdictRecord {
  ExitCode code = ExitCode::kOther;
  int rank = -1;     // that it is about; -1: none
  std::string host;  // empty if unknown
  std::string text;  // one sentence
  std::string time;  // UTC, ISO 8601
};

/// "varve: rank 1 on node-b died ... (exit code 5)", without a newline.
std::string verdict_line(const VerdictRecord& verdict);

/// Replaces `path` by the verdict as JSON. IoError.
void write_verdict(const std::filesystem::path& path, const VerdictRecord& verdict);

}  // namespace varve
