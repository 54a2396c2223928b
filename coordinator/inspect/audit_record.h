// What audit.json holds: the ranks' reports added up, with the text that they are about, so that a
// reader needs neither the model nor the document.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/model/model_config.h"
#include "common/plan/report.h"
#include "common/text/tokenizer.h"
#include "coordinator/jobs/results.h"

namespace varve {

/// What was kept for the document, or for one question where each has its own choice.
struct AuditKept {
  std::optional<std::uint32_t> question;           // by its place; nothing: for the document
  std::vector<std::vector<std::uint32_t>> layers;  // [layers][Hkv * cells], rows kept
  std::vector<std::uint32_t> span_rows;            // [spans], kept over all layers and key heads
  std::vector<std::uint32_t> span_layers;          // [spans], layers that kept any row of it
};

struct AuditQuestion {
  std::string id;
  std::string question;
  std::string answer;
  std::uint32_t rows = 0;      // that its tokens were sampled from
  std::vector<double> shares;  // [spans], of those rows' attention; the rest went to its own rows
};

struct AuditRecord {
  std::uint32_t layers = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t q_heads = 0;
  std::uint64_t rows = 0;            // tokens before the questions: the document, with its header
  std::uint64_t document_begin = 0;  // the first that is the document's
  AuditOrders grid;
  std::vector<std::string> spans;  // their texts, which in a row are all of it
  std::vector<AuditKept> kept;     // none: every row of every layer
  std::vector<AuditQuestion> questions;
  std::vector<std::vector<MemorySample>> memory;  // by rank

  std::size_t span_count() const { return grid_size(rows, grid.span_rows); }
  std::size_t cell_count() const { return grid_size(rows, grid.cell_rows); }
};

struct AuditInputs {
  const ModelConfig& model;
  const Tokenizer& tokenizer;
  std::span<const TokenId> prefix;
  std::size_t document_begin = 0;
  AuditOrders grid;
  std::span<const QuestionResult> results;
};

/// Question i is the batcher's sequence i + 1, the document sequence 0.
AuditRecord make_audit_record(const AuditInputs& inputs, const std::vector<RankReport>& ranks);

}  // namespace varve
