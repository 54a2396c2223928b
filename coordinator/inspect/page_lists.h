// The lists of passages in the page.
#pragma once

#include <string>

#include "coordinator/inspect/audit_record.h"

namespace varve {

/// "tokens 1,024–1,047"
std::string token_range(const AuditRecord& audit, std::size_t begin_span, std::size_t end_span);

/// "12.3 %"; small ones with more digits.
std::string percent(double share);

/// A section: question, answer, where its attention went, and the passages that drew most of it.
std::string question_section(const AuditRecord& audit, std::size_t question);

/// A table of the passages that most layers kept nothing of, at most `most`, with what it shows in
/// words.
std::string lost_list(const AuditRecord& audit, const AuditKept& kept, std::size_t most);

/// What is known to be kept for a question: its own choice, or the document's; null: everything.
const AuditKept* kept_for(const AuditRecord& audit, std::size_t question);

}  // namespace varve
