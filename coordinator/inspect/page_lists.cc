#include "coordinator/inspect/page_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "common/utf8.h"
#include "coordinator/inspect/html.h"
#include "coordinator/inspect/passages.h"

namespace varve {
namespace {

constexpr std::size_t kPassages = 10;    // of a question
constexpr std::size_t kOwnLost = 5;      // of a question that has its own choice
constexpr std::size_t kHeadBytes = 420;  // shown of a long passage
constexpr std::size_t kTailBytes = 160;
constexpr std::size_t kContextSpans = 3;
constexpr std::size_t kContextBytes = 90;  // before and behind a passage

std::string text_of(const AuditRecord& audit, std::size_t begin, std::size_t end) {
  std::string text;
  for (std::size_t s = begin; s < end; ++s) text += audit.spans[s];
  return text;
}

std::string_view head_of(std::string_view text, std::size_t bytes) {
  return text.substr(0, valid_utf8_prefix(text.substr(0, bytes)));
}

std::string_view tail_of(std::string_view text, std::size_t bytes) {
  std::size_t at = text.size() - std::min(bytes, text.size());
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) ++at;
  return text.substr(at);
}

std::string_view trim_front(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \n"), text.size()));
}

// From a word's beginning on, or up to a word's end.
std::string_view whole_words_of_tail(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  const std::string_view tail = tail_of(text, bytes);
  return trim_front(tail.substr(std::min(tail.find_first_of(" \n"), tail.size())));
}

std::string_view whole_words_of_head(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  const std::string_view head = head_of(text, bytes);
  const std::size_t end = head.find_last_of(" \n");
  return end == head.npos ? head : head.substr(0, end);
}

std::string shortened_text(const std::string& text) {
  if (text.size() <= kHeadBytes + kTailBytes) return escaped_html(text);
  return fmt::format("{}<span class=\"gap\"> … </span>{}",
                     escaped_html(whole_words_of_head(text, kHeadBytes)),
                     escaped_html(whole_words_of_tail(text, kTailBytes)));
}

// The passage, and a little of what stands around it.
std::string text_in_context(const AuditRecord& audit, std::size_t begin, std::size_t end) {
  const std::string before = text_of(audit, begin - std::min(begin, kContextSpans), begin);
  const std::string after = text_of(audit, end, std::min(end + kContextSpans, audit.spans.size()));
  return fmt::format(
      "<span class=\"around\">{}</span><mark>{}</mark><span class=\"around\">{}</span>",
      escaped_html(whole_words_of_tail(before, kContextBytes)),
      shortened_text(text_of(audit, begin, end)),
      escaped_html(whole_words_of_head(after, kContextBytes)));
}

// Spans of the prompt's header and the very first one, which draws attention whatever it says.
std::size_t start_spans(const AuditRecord& audit) {
  return grid_size(std::max<std::size_t>(audit.document_begin, 1), audit.grid.span_rows);
}

struct Attention {
  double start = 0;
  double document = 0;
  double own = 0;  // question and answer
};

Attention attention_of(const AuditRecord& audit, const AuditQuestion& question) {
  const auto begin = question.shares.begin();
  const auto cut =
      begin + static_cast<std::ptrdiff_t>(std::min(start_spans(audit), question.shares.size()));
  Attention a;
  a.start = std::accumulate(begin, cut, 0.0);
  a.document = std::accumulate(cut, question.shares.end(), 0.0);
  a.own = std::max(0.0, 1 - a.start - a.document);
  return a;
}

std::string kept_in(const AuditRecord& audit, const AuditKept* kept, std::size_t begin,
                    std::size_t end) {
  if (kept == nullptr) return fmt::format("all {}", audit.layers);
  std::uint32_t most = 0;
  for (std::size_t s = begin; s < end; ++s) most = std::max(most, kept->span_layers[s]);
  return fmt::format("{} of {}", most, audit.layers);
}

std::string passage_rows(const AuditRecord& audit, std::size_t index, double document_share) {
  const AuditQuestion& question = audit.questions[index];
  const AuditKept* kept = kept_for(audit, index);
  const auto passages = attended_passages(question.shares, start_spans(audit), kPassages);
  const double largest = passages.empty() ? 1 : passages.front().share;
  std::string html;
  for (const AttendedPassage& p : passages) {
    html += fmt::format(
        "<tr><td class=\"n\">{}<span class=\"bar\" style=\"width:{:.1f}%\"></span></td>"
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"text\">{}</td></tr>\n",
        percent(p.share / document_share), 100 * p.share / largest,
        token_range(audit, p.begin, p.end), kept_in(audit, kept, p.begin, p.end),
        text_in_context(audit, p.begin, p.end));
  }
  return html;
}

std::string own_lost(const AuditRecord& audit, std::size_t index) {
  const AuditKept* kept = kept_for(audit, index);
  if (kept == nullptr || !kept->question) return {};
  return fmt::format("<details><summary>Lost for this question</summary>{}</details>\n",
                     lost_list(audit, *kept, kOwnLost));
}

}  // namespace

std::string percent(double share) {
  const double value = 100 * share;
  if (value == 0) return "0 %";
  if (value < 0.01) return "&lt; 0.01 %";
  return fmt::format("{:.{}f} %", value, value < 1 ? 2 : 1);
}

std::string token_range(const AuditRecord& audit, std::size_t begin_span, std::size_t end_span) {
  const std::uint64_t width = audit.grid.span_rows;
  return fmt::format("{}–{}", with_commas(begin_span * width),
                     with_commas(std::min<std::uint64_t>(end_span * width, audit.rows) - 1));
}

const AuditKept* kept_for(const AuditRecord& audit, std::size_t question) {
  const AuditKept* document = nullptr;
  for (const AuditKept& kept : audit.kept) {
    if (!kept.question) document = &kept;
    if (kept.question == question) return &kept;
  }
  return document;
}

std::string question_section(const AuditRecord& audit, std::size_t index) {
  const AuditQuestion& q = audit.questions[index];
  std::string html = fmt::format(
      "<section class=\"question\"><h3>{}</h3>\n<p class=\"text asked\">{}</p>\n"
      "<p class=\"text answer\">{}</p>\n",
      escaped_html(q.id), escaped_html(q.question),
      q.answer.empty() ? "<i>no answer</i>" : escaped_html(q.answer));
  const Attention a = attention_of(audit, q);
  if (q.rows == 0 || a.document <= 0) {
    return html + "<p>Nothing is known of what it attended to in the document.</p></section>\n";
  }
  html += fmt::format(
      "<p>Attention of the {} that the answer was sampled from: <b>{}</b> to the document, {} to "
      "the start of the prompt (tokens {}), {} to question and answer.</p>\n",
      q.rows == 1 ? "row" : fmt::format("{} rows", q.rows), percent(a.document), percent(a.start),
      token_range(audit, 0, std::min(start_spans(audit), audit.spans.size())), percent(a.own));
  html +=
      "<table><thead><tr><th>of the document’s part</th><th>tokens</th><th>layers that kept "
      "it</th><th>text</th></tr></thead>\n<tbody>\n";
  html += passage_rows(audit, index, a.document);
  return html + "</tbody></table>\n" + own_lost(audit, index) + "</section>\n";
}

std::string lost_list(const AuditRecord& audit, const AuditKept& kept, std::size_t most) {
  const LostPassages lost = lost_passages(kept.span_layers, audit.layers, most);
  if (lost.longest.empty()) {
    return "<p>No span of the document is lost in half of the layers.</p>\n";
  }
  const std::string layers =
      lost.layers == audit.layers
          ? fmt::format("all {} layers", audit.layers)
          : fmt::format("at least {} of the {} layers", lost.layers, audit.layers);
  std::string html = fmt::format(
      "<p>Passages lost in {}: {}{}.</p>\n<table><thead><tr><th>length</th><th>tokens</th>"
      "<th>rows kept</th><th>text</th></tr></thead>\n<tbody>\n",
      layers, with_commas(lost.count),
      lost.count > lost.longest.size()
          ? fmt::format(", of which these {} are the longest", lost.longest.size())
          : "");
  for (const LostPassage& p : lost.longest) {
    const std::uint64_t rows = std::min<std::uint64_t>(p.end * audit.grid.span_rows, audit.rows) -
                               p.begin * audit.grid.span_rows;
    const std::uint64_t held = std::accumulate(
        kept.span_rows.begin() + static_cast<std::ptrdiff_t>(p.begin),
        kept.span_rows.begin() + static_cast<std::ptrdiff_t>(p.end), std::uint64_t{0});
    html += fmt::format(
        "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"text\">{}</td></tr>\n",
        with_commas(rows), token_range(audit, p.begin, p.end),
        percent(static_cast<double>(held) /
                static_cast<double>(rows * audit.layers * audit.kv_heads)),
        shortened_text(text_of(audit, p.begin, p.end)));
  }
  return html + "</tbody></table>\n";
}

}  // namespace varve
