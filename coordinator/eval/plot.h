// Quality against bytes, as one SVG picture without anything from outside.
#pragma once

#include <string>

#include "coordinator/eval/report.h"

namespace varve {

/// A panel for each task (down) and length (across): the document's bytes once compacted on a
/// logarithmic axis, and the quality with its interval. A line joins the budgets of a policy;
/// policies of the same bytes stand side by side. Each point says its numbers when pointed at.
std::string quality_plot(const EvalReport& report);

}  // namespace varve
