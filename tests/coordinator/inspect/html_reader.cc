#include "tests/coordinator/inspect/html_reader.h"

#include <fmt/format.h>

#include <cctype>
#include <set>

namespace varve {
namespace {

const std::set<std::string> kNoEnd = {"meta", "input", "br"};

class Reader {
 public:
  explicit Reader(std::string_view html) : html_(html) {}

  HtmlReading read() {
    if (!take("<!DOCTYPE html>\n")) fail("no doctype");
    while (reading_.problem.empty() && at_ < html_.size()) {
      if (html_[at_] == '<') {
        read_tag();
      } else {
        read_text();
      }
    }
    if (reading_.problem.empty() && !open_.empty()) fail("not closed: " + open_.back());
    return std::move(reading_);
  }

 private:
  bool take(std::string_view what) {
    if (!html_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  void fail(const std::string& why) {
    if (!reading_.problem.empty()) return;
    reading_.problem =
        fmt::format("{} at byte {}: {}", why, at_, html_.substr(at_ > 40 ? at_ - 40 : 0, 80));
  }

  std::string take_name() {
    std::string name;
    while (at_ < html_.size() &&
           (std::isalnum(static_cast<unsigned char>(html_[at_])) != 0 || html_[at_] == '-')) {
      name += html_[at_++];
    }
    if (name.empty()) fail("a name is due");
    return name;
  }

  void read_tag() {
    ++at_;
    if (take("/")) {
      const std::string name = take_name();
      if (!take(">")) fail("an end tag goes on");
      if (open_.empty() || open_.back() != name)
        return fail(fmt::format("</{}> closes nothing", name));
      open_.pop_back();
      return;
    }
    HtmlElement element{.name = take_name(), .attributes = {}, .raw = {}};
    while (reading_.problem.empty() && take(" ")) read_attribute(element);
    const bool closed = take("/");
    if (!take(">")) fail("a tag goes on");
    if (element.name == "script" || element.name == "style") {
      const std::size_t end = html_.find(fmt::format("</{}>", element.name), at_);
      if (end == html_.npos) return fail("no end of " + element.name);
      element.raw = html_.substr(at_, end - at_);
      at_ = end;
    }
    if (!closed && !kNoEnd.contains(element.name)) open_.push_back(element.name);
    reading_.elements.push_back(std::move(element));
  }

  void read_attribute(HtmlElement& element) {
    const std::string name = take_name();
    std::string value;
    if (take("=")) {
      if (!take("\"")) return fail("no quote");
      const std::size_t end = html_.find('"', at_);
      if (end == html_.npos) return fail("no second quote");
      value = html_.substr(at_, end - at_);
      if (value.find('<') != value.npos) fail("markup in an attribute");
      at_ = end + 1;
    }
    if (!element.attributes.try_emplace(name, value).second) fail("twice: " + name);
  }

  void read_text() {
    for (; at_ < html_.size() && html_[at_] != '<'; ++at_) {
      const auto c = static_cast<unsigned char>(html_[at_]);
      if (c == '&') {
        read_entity();
      } else if (c == '>' || (c < 0x20 && c != '\n' && c != '\t')) {
        return fail("a character that must be escaped");
      } else {
        reading_.text += html_[at_];
      }
    }
  }

  void read_entity() {
    static const std::map<std::string, char> entities = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}};
    for (const auto& [entity, c] : entities) {
      if (!take(entity)) continue;
      reading_.text += c;
      --at_;  // the loop goes on behind it
      return;
    }
    fail("an entity that is none of ours");
  }

  std::string_view html_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  HtmlReading reading_;
};

}  // namespace

HtmlReading read_html(std::string_view html) {
  return Reader(html).read();
}

}  // namespace varve
