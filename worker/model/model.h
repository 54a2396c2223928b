// An open model: its files, its family, and what each part weighs. Opening reads headers only.
#pragma once

#include <string>

#include "common/model/model_files.h"
#include "common/model/weight_form.h"
#include "common/plan/footprint.h"
#include "worker/model/family.h"

namespace varve {

struct Model {
  ModelFiles files;
  const Family* family = nullptr;
  const ModelConfig& config() const { return files.config; }
};

/// IoError or ConfigError names the file and what is wrong with it.
Model load_model_header(const std::string& path);

/// Of a backend that holds tensors in that form.
WeightBytes weight_bytes(const Model& model, WeightForm form = WeightForm::kStored);

}  // namespace varve
