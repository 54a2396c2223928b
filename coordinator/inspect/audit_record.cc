#include "coordinator/inspect/audit_record.h"

#include <algorithm>
#include <map>

#include "common/error.h"

namespace varve {
namespace {

// A character belongs to the span in which its last byte comes.
std::vector<std::string> span_texts(const AuditInputs& inputs) {
  std::vector<std::string> texts(grid_size(inputs.prefix.size(), inputs.grid.span_rows));
  IncrementalDecoder decoder(inputs.tokenizer, true);
  for (std::size_t i = 0; i < inputs.prefix.size(); ++i) {
    texts[i / inputs.grid.span_rows] += decoder.add(inputs.prefix[i]);
  }
  if (!texts.empty()) texts.back() += decoder.flush();
  return texts;
}

template <class T>
void add(std::vector<T>& sum, const std::vector<T>& part) {
  VARVE_CHECK(sum.empty() || sum.size() == part.size(), "{} spans and {}", sum.size(), part.size());
  sum.resize(part.size());
  std::transform(part.begin(), part.end(), sum.begin(), sum.begin(), std::plus<>());
}

std::vector<AuditKept> kept_of(const AuditRecord& record, const std::vector<RankReport>& ranks) {
  std::map<std::uint32_t, AuditKept> by_sequence;
  for (const RankReport& rank : ranks) {
    for (const KeptMap& map : rank.audit.maps) {
      AuditKept& kept = by_sequence[map.sequence];
      kept.layers.resize(record.layers);
      kept.layers.at(map.layer) = map.rows;
    }
    for (const KeptSpans& spans : rank.audit.kept) {
      AuditKept& kept = by_sequence[spans.sequence];
      add(kept.span_rows, spans.rows);
      add(kept.span_layers, spans.layers);
    }
  }
  std::vector<AuditKept> list;
  for (auto& [sequence, kept] : by_sequence) {
    for (const std::vector<std::uint32_t>& rows : kept.layers) {
      VARVE_CHECK(rows.size() == record.kv_heads * record.cell_count(),
                  "{} cells of sequence {}, due are {} of {} heads", rows.size(), sequence,
                  record.cell_count(), record.kv_heads);
    }
    if (sequence > 0) kept.question = sequence - 1;
    list.push_back(std::move(kept));
  }
  return list;
}

void add_attention(AuditRecord& record, const std::vector<RankReport>& ranks) {
  std::map<std::uint32_t, Attended> by_sequence;
  for (const RankReport& rank : ranks) {
    for (const Attended& part : rank.audit.attended) {
      Attended& sum = by_sequence[part.sequence];
      sum.rows = part.rows;
      add(sum.spans, part.spans);
    }
  }
  for (const auto& [sequence, sum] : by_sequence) {
    VARVE_CHECK(sequence >= 1 && sequence <= record.questions.size(), "sequence {} of {} questions",
                sequence, record.questions.size());
    AuditQuestion& question = record.questions[sequence - 1];
    question.rows = sum.rows;
    const double all = kAttendedOne * sum.rows * record.q_heads * record.layers;
    for (std::size_t s = 0; s < sum.spans.size(); ++s) {
      question.shares[s] = static_cast<double>(sum.spans[s]) / all;
    }
  }
}

}  // namespace

AuditRecord make_audit_record(const AuditInputs& inputs, const std::vector<RankReport>& ranks) {
  AuditRecord record;
  record.layers = static_cast<std::uint32_t>(inputs.model.layers);
  record.kv_heads = static_cast<std::uint32_t>(inputs.model.kv_heads);
  record.q_heads = static_cast<std::uint32_t>(inputs.model.q_heads);
  record.rows = inputs.prefix.size();
  record.document_begin = inputs.document_begin;
  record.grid = inputs.grid;
  record.spans = span_texts(inputs);
  record.kept = kept_of(record, ranks);
  for (const QuestionResult& result : inputs.results) {
    record.questions.push_back({.id = result.id,
                                .question = result.question,
                                .answer = result.answer,
                                .rows = 0,
                                .shares = std::vector<double>(record.span_count())});
  }
  add_attention(record, ranks);
  for (const RankReport& rank : ranks) record.memory.push_back(rank.audit.memory);
  return record;
}

}  // namespace varve
