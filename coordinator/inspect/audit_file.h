// audit.json: an object whose keys stand on a line each.
//
//   version, model_layers, kv_heads, q_heads
//   rows, document_begin   tokens before the questions; the first that is the document's
//   span_rows, cell_rows   tokens of a span and of a cell; the last ones may be shorter
//   memory     by rank {ms, bytes}: since its first step; the most held since the time before
//   questions  {id, question, answer, rows, shares}: tokens of the answer were sampled from so many
//              rows; of their attention, by span, over all layers and query heads
//   kept       {question, span_rows, span_layers, layers}: for which question, or null for all; by
//              span the rows kept over layers and key heads, and the layers that kept any; rows
//              kept by layer, key head and cell. An empty list: every row
//   spans      texts
#pragma once

#include <filesystem>
#include <string>

#include "coordinator/inspect/audit_record.h"

namespace varve {

std::string to_json(const AuditRecord& record);

/// IoError names the file and what is wrong with it.
AuditRecord read_audit(const std::filesystem::path& path);

}  // namespace varve
