#include "coordinator/inspect/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/inspect/html.h"
#include "tests/coordinator/inspect/html_reader.h"
#include "tests/coordinator/inspect/records.h"

namespace varve {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

HtmlReading read_page(const RunFacts& facts, const AuditRecord& audit) {
  HtmlReading page = read_html(inspect_page(facts, audit));
  EXPECT_EQ(page.problem, "");
  return page;
}

json data_of(const HtmlReading& page) {
  for (const HtmlElement& e : page.elements) {
    if (e.attributes.contains("id") && e.attributes.at("id") == "data") return json::parse(e.raw);
  }
  ADD_FAILURE() << "no data";
  return {};
}

std::size_t count(const HtmlReading& page, const std::string& name) {
  return static_cast<std::size_t>(
      std::count_if(page.elements.begin(), page.elements.end(),
                    [&](const HtmlElement& e) { return e.name == name; }));
}

TEST(HtmlReader, FindsWhatIsWrong) {
  const auto problem = [](std::string_view body) {
    return read_html("<!DOCTYPE html>\n" + std::string(body)).problem;
  };
  EXPECT_EQ(problem("<p class=\"a\">b &amp; c<br></p>"), "");
  EXPECT_THAT(problem("<p>"), HasSubstr("not closed: p"));
  EXPECT_THAT(problem("<b><p></b></p>"), HasSubstr("</b> closes nothing"));
  EXPECT_THAT(problem("<p>a & b</p>"), HasSubstr("entity"));
  EXPECT_THAT(problem("<p title=\"<b>\"></p>"), HasSubstr("markup in an attribute"));
  EXPECT_THAT(problem("<script>a"), HasSubstr("no end of script"));
}

TEST(Page, SaysWhatWasKeptAttendedToAndLost) {
  const HtmlReading page = read_page(sample_facts(), sample_audit());
  EXPECT_THAT(page.text, AllOf(HasSubstr("11 of 44 rows of keys and values, 25.0 %"),
                               HasSubstr("m.gguf"), HasSubstr("snapkv (window), budget 8"),
                               HasSubstr("Who created?"), HasSubstr("God did.")));
  // The header's span is no passage; of the rest, spans 3 and 4 are one.
  EXPECT_THAT(page.text, AllOf(HasSubstr("3 rows"), HasSubstr("40.0 % to the document"),
                               HasSubstr("50.0 % to the start of the prompt (tokens 0–3)"),
                               HasSubstr("10.0 % to question and answer")));
  EXPECT_THAT(page.text,
              HasSubstr("80.0 %12–190 of 3<|user|>In the beginning God created the heaven."));
  // One layer alone has rows of span 2, none has any behind it.
  EXPECT_THAT(page.text, AllOf(HasSubstr("Passages lost in at least 2 of the 3 layers: 1."),
                               HasSubstr("148–214.8 %beginning God created the heaven.")));
  EXPECT_THAT(page.text, HasSubstr("rank 0 on node-a, layers 0–2: at most 4 KiB"));
  EXPECT_EQ(count(page, "canvas"), 1U);
}

TEST(Page, DataIsTheAudit) {
  const AuditRecord audit = sample_audit();
  const json data = data_of(read_page(sample_facts(), audit));
  EXPECT_EQ(data["spans"], audit.spans);
  EXPECT_EQ(data["maps"][0]["layers"], audit.kept[0].layers);
  EXPECT_EQ(data["maps"][0]["spanLayers"], audit.kept[0].span_layers);
  const std::vector<double> cells = data["questions"][0]["cells"];
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_NEAR(cells[0], 0.51, 1e-9);
  EXPECT_NEAR(cells[1], 0.22, 1e-9);
  EXPECT_NEAR(cells[2], 0.17, 1e-9);
}

TEST(Page, AsksNothingOfAnyNetwork) {
  const std::string html = inspect_page(sample_facts(), sample_audit());
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const HtmlElement& e : read_page(sample_facts(), sample_audit()).elements) {
    EXPECT_FALSE(e.attributes.contains("src") || e.attributes.contains("href")) << e.name;
  }
  EXPECT_THAT(html, AllOf(Not(HasSubstr("http:")), Not(HasSubstr("https:")), Not(HasSubstr("url(")),
                          Not(HasSubstr("@import"))));
}

TEST(Page, NoTextBecomesMarkup) {
  const std::string evil =
      "</script><script>alert(1)</script><!--<img src=\"x\" onerror='y'>&lt; ]]> \x01\xff\r";
  AuditRecord audit = sample_audit();
  std::fill(audit.spans.begin(), audit.spans.end(), evil);
  audit.questions[0].id = audit.questions[0].question = audit.questions[0].answer = evil;
  AuditKept own = audit.kept[0];
  own.question = 0;
  audit.kept.push_back(own);
  RunFacts facts = sample_facts();
  facts.started = facts.model = facts.document_sha256 = facts.policy = facts.ranks[0].host = evil;
  const HtmlReading page = read_page(facts, audit);
  EXPECT_EQ(count(page, "script"), 2U);
  EXPECT_EQ(count(page, "img"), 0U);
  EXPECT_THAT(page.text, HasSubstr("</script><script>alert(1)</script><!--<img src=\"x\" "
                                   "onerror='y'>&lt; ]]> \uFFFD\uFFFD\uFFFD"));
  const json data = data_of(page);
  const std::string span = data["spans"][1];
  EXPECT_THAT(span, HasSubstr("</script><script>alert(1)</script><!--<img"));
  for (const HtmlElement& e : page.elements) {
    EXPECT_FALSE(e.attributes.contains("onerror")) << e.name;
    EXPECT_THAT(e.raw, Not(HasSubstr("<!--"))) << e.name;
  }
}

TEST(Page, ARunThatKeptEverything) {
  RunFacts facts = sample_facts();
  facts.policy.clear();
  facts.receipts.clear();
  AuditRecord audit = sample_audit();
  audit.kept.clear();
  const HtmlReading page = read_page(facts, audit);
  EXPECT_THAT(page.text, AllOf(HasSubstr("every row of every layer"), HasSubstr("all 3"),
                               HasSubstr("Nothing: every row was kept.")));
}

TEST(Page, QuestionsWithAChoiceOfTheirOwn) {
  AuditRecord audit = sample_audit();
  audit.kept[0].question = 0;
  const HtmlReading page = read_page(sample_facts(), audit);
  EXPECT_THAT(page.text, AllOf(HasSubstr("Lost for this question"),
                               HasSubstr("Each question has its own choice")));
}

TEST(Page, AQuestionThatWasNeverAnswered) {
  AuditRecord audit = sample_audit();
  audit.questions[0].rows = 0;
  audit.questions[0].answer.clear();
  audit.questions[0].shares.assign(6, 0);
  audit.memory = {{}};
  const HtmlReading page = read_page(sample_facts(), audit);
  EXPECT_THAT(page.text, AllOf(HasSubstr("no answer"), HasSubstr("Nothing is known")));
}

TEST(Html, NumbersHaveCommas) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1000), "1,000");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
}

}  // namespace
}  // namespace varve
