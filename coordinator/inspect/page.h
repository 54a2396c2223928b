// The page of `varve inspect`: one HTML file that asks nothing of any network.
#pragma once

#include <string>

#include "coordinator/inspect/audit_record.h"
#include "coordinator/inspect/run_facts.h"

namespace varve {

/// What the layers kept, what each answer attended to, what is gone, and memory over time.
std::string inspect_page(const RunFacts& run, const AuditRecord& audit);

}  // namespace varve
