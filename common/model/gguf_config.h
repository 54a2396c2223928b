// Hyperparameters out of a GGUF header.
#pragma once

#include <string>

#include "common/model/gguf.h"
#include "common/model/model_config.h"
#include "common/model/model_files.h"

namespace varve {

/// Keys "{arch}.*" as the GGUF specification names them; arch is "general.architecture". IoError
/// lists all problems. `fallback_name` serves if the file has no "general.name".
ModelConfig read_gguf_config(const GgufFile& file, const std::string& fallback_name,
                             const FamilyCheck& check_family = {});

}  // namespace varve
