// The questions of a job, from its list and from files.
#pragma once

#include <cstdint>
#include <vector>

#include "common/config/job_config.h"
#include "common/config/reader.h"

namespace varve {

/// Reads `questions:`. Those without a max_tokens of their own get `max_tokens`. Without
/// `check_files`, question files are not read.
std::vector<Question> read_questions(const ConfigNode& node, std::uint32_t max_tokens,
                                     bool check_files);

}  // namespace varve
