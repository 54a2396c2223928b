// How many rows a sequence's own segment of one layer has room for under a policy. The planner and
// the worker both go by these.
#pragma once

#include <cstddef>

#include "common/policy/policy_config.h"

namespace varve {

struct RowRoom {
  std::size_t rows = 0;          // of each key head
  bool shared_positions = true;  // or a list for each head, as rows are evicted head by head
};

/// Of the document's open segment: all `rows` rows, or the layer's budget and what comes between
/// two compactions.
RowRoom document_room(const PolicyConfig& policy, std::size_t budget, std::size_t rows);
/// Whether the document is read against its first and last rows alone, while each question keeps
/// rows of its own: guided with encode `local`, unless the budget holds the whole document.
bool reads_locally(const PolicyConfig& policy, std::size_t budget, std::size_t rows);
/// Of what a question keeps beside those rows, in that case.
std::size_t own_kept_rows(const PolicyConfig& policy, std::size_t budget);

/// Rows of each key head of which it is known what one probe pays to them; 0 where none is asked.
std::size_t probed_rows(const PolicyConfig& policy, std::size_t budget, std::size_t rows);

/// Whether a layer's scores count where layers share a selection (guided, scope stage or global).
/// Attention finds what was said before in the middle of a model; below it looks at words that are
/// near or alike, above at few rows whatever is asked.
bool votes(const PolicyConfig& policy, std::size_t layer, std::size_t layers);

/// Own rows of a question.
struct OwnRows {
  std::size_t prompt = 0;
  std::size_t answer = 0;  // the most; the last token of an answer is never fed back
  std::size_t total() const { return prompt + answer; }
  bool operator==(const OwnRows&) const = default;
};
/// Rows per key head of a layer that one_pool keeps of document, question and answer together: the
/// layer's budget, or more where that holds a whole document with room to spare.
std::size_t pool_budget(const PolicyConfig& policy, std::size_t budget, std::size_t document_rows);
/// Of a question's segment: its own rows, those of the answer as far as the decode slot keeps them;
/// for one_pool, unless `budget` (the pool's) holds everything, also a copy of the layer's `kept`
/// rows of the document, within the budget.
RowRoom question_room(const PolicyConfig& policy, std::size_t budget, std::size_t kept,
                      const OwnRows& own);

/// Whether a document may be longer than the positions that the model was trained for.
bool outlives_context(const PolicyConfig& policy);
/// Positions that a document of `rows` rows leaves taken, of which `kept` are held: what comes next
/// begins there.
std::size_t next_position(const PolicyConfig& policy, std::size_t kept, std::size_t rows);

}  // namespace varve
