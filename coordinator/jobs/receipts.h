// What a cache policy did, as a table and as JSON; and whether it did anything.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/plan/report.h"

namespace varve {

/// Of all ranks, in layer order, the document's before the questions' own.
std::vector<LayerReceipt> receipts_of(const std::vector<RankReport>& ranks);

/// A line per layer and kind of row, equal neighbours together. Empty without receipts.
std::string receipts_table(const std::vector<LayerReceipt>& receipts);

nlohmann::ordered_json receipts_json(const std::vector<LayerReceipt>& receipts);

/// Whether rows were dropped or took fewer bytes than they would have without a policy.
bool acted(const std::vector<LayerReceipt>& receipts);

}  // namespace varve
