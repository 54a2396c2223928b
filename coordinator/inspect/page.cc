#include "coordinator/inspect/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/units.h"
#include "coordinator/inspect/html.h"
#include "coordinator/inspect/memory_chart.h"
#include "coordinator/inspect/page_lists.h"
#include "coordinator/inspect/page_parts.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostLost = 20;

// The page may fetch nothing, whatever stands in it.
constexpr std::string_view kHead =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n";

std::string fact(std::string_view name, std::string_view value) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escaped_html(value));
}

struct Rows {
  std::uint64_t seen = 0;
  std::uint64_t kept = 0;
  std::uint32_t sequences = 0;
};

Rows document_rows(const RunFacts& run) {
  Rows rows;
  for (const LayerReceipt& r : run.receipts) {
    if (!r.document) continue;
    rows.seen += r.rows_seen;
    rows.kept += r.rows_kept;
    rows.sequences = r.sequences;
  }
  return rows;
}

std::string kept_in_all(const RunFacts& run) {
  const Rows rows = document_rows(run);
  if (rows.seen == 0) return "every row of every layer";
  return fmt::format("{} of {} rows of keys and values, {:.1f} %{}", with_commas(rows.kept),
                     with_commas(rows.seen),
                     100 * static_cast<double>(rows.kept) / static_cast<double>(rows.seen),
                     rows.sequences > 1 ? fmt::format(", over {} questions", rows.sequences) : "");
}

std::string header(const RunFacts& run, const AuditRecord& audit) {
  std::string html = "<header><h1>What the cache kept</h1>\n<dl>\n";
  html += fact("model", std::filesystem::path(run.model).filename().string());
  html += fact("cache policy", run.policy.empty() ? "full" : run.policy);
  html += fact("document", fmt::format("{} tokens, SHA-256 {}…", with_commas(run.document_tokens),
                                       run.document_sha256.substr(0, 12)));
  html += fact("prompt", fmt::format("{} tokens, of which the document’s begin at {}",
                                     with_commas(audit.rows), with_commas(audit.document_begin)));
  html += fact("kept", kept_in_all(run));
  html += fact("run", run.started);
  return html + "</dl></header>\n";
}

std::string map_name(const AuditRecord& audit, const AuditKept& kept) {
  return kept.question ? audit.questions[*kept.question].id : "the document";
}

std::string map_section(const AuditRecord& audit) {
  std::string html = "<section><h2>Kept, by layer and position</h2>\n<p class=\"controls\">";
  if (audit.kept.size() > 1) {
    html += "<label>Kept for <select id=\"map\">";
    for (std::size_t i = 0; i < audit.kept.size(); ++i) {
      html += fmt::format("<option value=\"{}\">{}</option>", i,
                          escaped_html(map_name(audit, audit.kept[i])));
    }
    html += "</select></label> ";
  }
  if (!audit.kept.empty()) {
    html += "<label><input type=\"checkbox\" id=\"heads\"> each key head</label> ";
  }
  html += "<label>Attention of <select id=\"asked\">";
  for (std::size_t i = 0; i < audit.questions.size(); ++i) {
    html += fmt::format("<option value=\"{}\">{}</option>", i, escaped_html(audit.questions[i].id));
  }
  html += "</select></label></p>\n";
  html += fmt::format(
      "<figure><canvas id=\"heat\" role=\"img\" aria-label=\"heat map: the share of rows that each "
      "layer kept, by position in the document\"></canvas>\n<figcaption><b id=\"drawn\"></b> From "
      "left to right the prompt’s tokens, {} to a cell; from top to bottom {}the attention of one "
      "answer, its largest cell full. Darkness (in a dark page, brightness) grows with the square "
      "root of the share.</figcaption></figure>\n",
      audit.grid.cell_rows, audit.kept.empty() ? "" : "the layers, and below them ");
  html += "<div id=\"under\" class=\"text\">Point at a cell to read what stands there.</div>\n";
  return html +
         "<noscript><p>This picture and the search need JavaScript; the rest does "
         "not.</p></noscript></section>\n";
}

std::string find_section() {
  return "<section class=\"find\"><h2>Find in the document</h2>\n<p><input type=\"search\" "
         "id=\"find\" placeholder=\"words that stand in it\" aria-label=\"words to find\"></p>\n"
         "<div id=\"found\"></div></section>\n";
}

std::string question_sections(const AuditRecord& audit) {
  std::string html =
      "<section><h2>What the answers attended to</h2>\n<p class=\"rule\">A passage is a span of "
      "tokens that drew much attention, with neighbours that drew at least half as much. Attention "
      "is added up over all layers and query heads. It tells what was looked at, not why.</p>\n";
  for (std::size_t i = 0; i < audit.questions.size(); ++i) html += question_section(audit, i);
  return html + "</section>\n";
}

std::string lost_section(const AuditRecord& audit) {
  std::string html = "<section><h2>Lost in most layers</h2>\n";
  if (audit.kept.empty()) return html + "<p>Nothing: every row was kept.</p></section>\n";
  html += fmt::format(
      "<p class=\"rule\">Runs of neighbouring spans of {} tokens of which a layer kept no row in "
      "any key head. The list is of what all layers lost; where that makes fewer than {} "
      "passages, a layer more may have kept a row, and so on, up to half of the layers.</p>\n",
      audit.grid.span_rows, kMostLost);
  const AuditKept& first = audit.kept.front();
  if (first.question) {
    return html + "<p>Each question has its own choice; see there.</p></section>\n";
  }
  return html + lost_list(audit, first, kMostLost) + "</section>\n";
}

std::string memory_section(const RunFacts& run, const AuditRecord& audit) {
  std::string html = "<section><h2>Memory over time</h2>\n<figure>" + memory_chart(audit.memory) +
                     "<figcaption>Bytes that each rank’s cache held, the most since the point "
                     "before; seconds since its first step.</figcaption></figure>\n<ul "
                     "class=\"legend\">\n";
  for (std::size_t i = 0; i < run.ranks.size(); ++i) {
    const RankFacts& rank = run.ranks[i];
    html += fmt::format(
        "<li><svg viewBox=\"0 0 24 6\"><path class=\"line {}\" d=\"M0 3H24\"/>"
        "</svg> rank {} on {}, layers {}–{}: at most {}</li>\n",
        rank_class(i), i, escaped_html(rank.host), rank.layers.begin, rank.layers.end - 1,
        to_string(Bytes{rank.kv_peak}));
  }
  return html + "</ul></section>\n";
}

std::string receipt_section(const RunFacts& run) {
  if (run.receipts.empty()) return {};
  std::string html =
      "<section><details><summary>Receipts: rows and bytes by layer</summary>\n<table><thead><tr>"
      "<th>layer</th><th>rows of</th><th>sequences</th><th>rows seen</th><th>kept</th><th></th>"
      "<th>bytes</th><th>after</th></tr></thead>\n<tbody>\n";
  for (const LayerReceipt& r : run.receipts) {
    const double share =
        r.rows_seen == 0 ? 0 : static_cast<double>(r.rows_kept) / static_cast<double>(r.rows_seen);
    html += fmt::format(
        "<tr><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{}</td></tr>\n",
        r.layer, r.document ? "document" : "question", r.sequences, with_commas(r.rows_seen),
        with_commas(r.rows_kept), percent(share), to_string(Bytes{r.bytes_before}),
        to_string(Bytes{r.bytes_after}));
  }
  return html + "</tbody></table></details></section>\n";
}

// A question's attention on the grid of the heat map: a span's rows have equal parts of it.
std::vector<double> shares_by_cell(const AuditRecord& audit, const AuditQuestion& question) {
  std::vector<double> cells(audit.cell_count());
  for (std::size_t row = 0; row < audit.rows; ++row) {
    const std::size_t span = row / audit.grid.span_rows;
    const std::uint64_t rows =
        std::min<std::uint64_t>(audit.grid.span_rows, audit.rows - span * audit.grid.span_rows);
    cells[row / audit.grid.cell_rows] += question.shares[span] / static_cast<double>(rows);
  }
  for (double& cell : cells) cell = std::strtod(fmt::format("{:.3g}", cell).c_str(), nullptr);
  return cells;
}

std::string data_json(const AuditRecord& audit) {
  Json maps = Json::array();
  for (const AuditKept& kept : audit.kept) {
    maps.push_back({{"layers", kept.layers}, {"spanLayers", kept.span_layers}});
  }
  Json questions = Json::array();
  for (const AuditQuestion& q : audit.questions) {
    questions.push_back({{"id", q.id}, {"cells", shares_by_cell(audit, q)}});
  }
  const Json data = {{"layers", audit.layers},
                     {"heads", audit.kv_heads},
                     {"rows", audit.rows},
                     {"documentBegin", audit.document_begin},
                     {"spanRows", audit.grid.span_rows},
                     {"cellRows", audit.grid.cell_rows},
                     {"maps", std::move(maps)},
                     {"questions", std::move(questions)},
                     {"spans", audit.spans}};
  return escaped_json(data.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

std::string inspect_page(const RunFacts& run, const AuditRecord& audit) {
  std::string html(kHead);
  html += "<title>What the cache kept</title>\n<style>\n";
  html += kPageStyle;
  html += "</style>\n</head>\n<body>\n<main>\n";
  html += header(run, audit);
  html += map_section(audit);
  html += find_section();
  html += question_sections(audit);
  html += lost_section(audit);
  html += memory_section(run, audit);
  html += receipt_section(run);
  html += "</main>\n<script type=\"application/json\" id=\"data\">";
  html += data_json(audit);
  html += "</script>\n<script>\n";
  html += kPageScript;
  return html + "</script>\n</body>\n</html>\n";
}

}  // namespace varve
