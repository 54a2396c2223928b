// An audit that tests look at.
#pragma once

#include "coordinator/inspect/audit_record.h"
#include "coordinator/inspect/run_facts.h"

namespace varve {

/// 3 layers with 2 key heads over 22 tokens: spans of 4, cells of 8. Layer l kept the rows of
/// spans up to l of its first head. One question looked at the span 3 most.
inline AuditRecord sample_audit() {
  AuditRecord audit;
  audit.layers = 3;
  audit.kv_heads = 2;
  audit.q_heads = 4;
  audit.rows = 22;
  audit.document_begin = 3;
  audit.grid = {.span_rows = 4, .cell_rows = 8};
  audit.spans = {"<|user|>", "In the ", "beginning", " God created", " the ", "heaven."};
  AuditKept kept;
  kept.layers = {{4, 0, 0, 0, 0, 0}, {8, 0, 0, 0, 0, 0}, {8, 4, 0, 0, 0, 0}};
  kept.span_rows = {12, 8, 4, 0, 0, 0};
  kept.span_layers = {3, 2, 1, 0, 0, 0};
  audit.kept = {kept};
  audit.questions = {{.id = "who",
                      .question = "Who created?",
                      .answer = "God did.",
                      .rows = 3,
                      .shares = {0.5, 0.01, 0.02, 0.2, 0.12, 0.05}}};
  audit.memory = {{{5, 1024}, {10, 4096}, {20, 2048}}};
  return audit;
}

inline RunFacts sample_facts() {
  RunFacts facts;
  facts.started = "2026-01-31T12:00:00Z";
  facts.model = "/models/m.gguf";
  facts.document_sha256 = "0123456789abcdef";
  facts.policy = "snapkv (window), budget 8";
  facts.document_tokens = 19;
  facts.ranks = {{.host = "node-a", .layers = {0, 3}, .kv_peak = 4096}};
  LayerReceipt receipt;
  receipt.sequences = 1;
  receipt.rows_seen = 44;
  receipt.rows_kept = 11;
  facts.receipts = {receipt};
  return facts;
}

}  // namespace varve
