#include "coordinator/eval/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "common/units.h"

namespace varve {
namespace {

// Pixels.
constexpr double kWidth = 390;  // of a panel's axes
constexpr double kHeight = 230;
constexpr double kLeft = 66;     // of the picture, before the first panel
constexpr double kBetween = 46;  // panels of a row
constexpr double kAbove = 40;    // a panel's axes: its title
constexpr double kBelow = 30;    // the axes: their numbers
constexpr double kHead = 76;     // of the picture
constexpr double kFoot = 34;
constexpr double kLegendLine = 21;
constexpr double kLetter = 6.8;  // width of one, about
constexpr double kMark = 4.2;
constexpr double kSpread = 6;  // between two policies of the same bytes, at most

// Okabe and Ito's colours, which most eyes tell apart, and a brown for their yellow, which is faint
// on white; then the same again with other marks and dashes.
constexpr std::array<std::string_view, 8> kColors = {"#000000", "#e69f00", "#0072b2", "#009e73",
                                                     "#d55e00", "#cc79a7", "#56b4e9", "#8c6d31"};
constexpr std::array<std::string_view, 4> kDashes = {"none", "5 2", "2 2", "8 2 2 2"};

std::string escaped_xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// In the order of first appearance.
template <class Get>
auto different(const std::vector<CellReport>& cells, Get get) {
  std::vector<std::decay_t<decltype(get(cells.front()))>> list;
  for (const CellReport& c : cells) {
    if (std::find(list.begin(), list.end(), get(c)) == list.end()) list.push_back(get(c));
  }
  return list;
}

std::string text_at(double x, double y, std::string_view attributes, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                     escaped_xml(text));
}

std::string line_between(double x1, double y1, double x2, double y2, std::string_view attributes) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1,
                     x2, y2, attributes);
}

std::string_view color_of(std::size_t policy) {
  return kColors[policy % kColors.size()];
}

// A path of lines between the points of a policy.
std::string joined_by(std::size_t policy, std::string_view path) {
  return fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.3\" stroke-opacity=\"0.75\" "
      "stroke-dasharray=\"{}\"/>\n",
      path, color_of(policy), kDashes[policy / kColors.size() % kDashes.size()]);
}

// Circle, square, triangle, diamond.
std::string mark(std::size_t policy, double x, double y) {
  constexpr double r = kMark;
  const std::string paint =
      fmt::format("fill=\"{}\" stroke=\"#fff\" stroke-width=\"0.7\"", color_of(policy));
  switch (policy / kColors.size() % 4) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" {}/>", x, y, r, paint);
    case 1:
      return fmt::format("<path d=\"M{:.1f} {:.1f}h{}v{}h{}z\" {}/>", x - r, y - r, 2 * r, 2 * r,
                         -2 * r, paint);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l{} {}h{}z\" {}/>", x, y - 1.2 * r, 1.2 * r,
                         2.2 * r, -2.4 * r, paint);
    default:
      return fmt::format("<path d=\"M{0:.1f} {1:.1f}l{2} {2}l{3} {2}l{3} {3}z\" {4}/>", x,
                         y - 1.3 * r, 1.3 * r, -1.3 * r, paint);
  }
}

// The axes of a panel, and where its numbers lie.
class Scale {
 public:
  Scale(const std::vector<const CellReport*>& cells, double left, double top)
      : left_(left), top_(top), match_(cells.front()->measure == Measure::kExactMatch) {
    double least = 0;
    double most = 1;
    double value = 0;
    for (const CellReport* c : cells) {
      const auto bytes = static_cast<double>(std::max<std::uint64_t>(c->after_bytes, 1));
      least = least == 0 ? bytes : std::min(least, bytes);
      most = std::max(most, bytes);
      value = std::max(value, c->quality.value);
      if (std::isfinite(c->quality.high)) highest_ = std::max(highest_, c->quality.high);
    }
    // Few samples have intervals that would press all points to the ground.
    highest_ = std::clamp(highest_, 1.05 * value, 1.6 * value);
    // Room beside the outermost points for those that are spread sideways.
    low_ = std::log2(least) - 0.5;
    high_ = std::log2(most) + 0.5;
    highest_ = match_ ? 1 : rounded_up(std::max(0.1, highest_));
  }

  double left() const { return left_; }
  double top() const { return top_; }
  double right() const { return left_ + kWidth; }
  double bottom() const { return top_ + kHeight; }
  double x(double bytes) const {
    return left_ + (std::log2(std::max(bytes, 1.0)) - low_) / (high_ - low_) * kWidth;
  }
  double y(double quality) const {
    return bottom() - kHeight * std::clamp(quality / highest_, 0.0, 1.0);
  }

  bool shows(double quality) const { return quality <= highest_; }

  std::string axes() const {
    std::string svg;
    const double every = std::max(1.0, std::ceil((high_ - low_) / 6));
    for (double power = std::ceil(low_); power <= high_; power += every) {
      const double at = x(std::exp2(power));
      svg += line_between(at, top_, at, bottom(), "stroke=\"#e4e4e4\"");
      svg += text_at(at, bottom() + 15, "text-anchor=\"middle\"",
                     to_string(Bytes{static_cast<std::uint64_t>(std::exp2(power))}));
    }
    constexpr int kLines = 5;
    for (int i = 0; i <= kLines; ++i) {
      const double quality = highest_ * i / kLines;
      svg += line_between(left_, y(quality), right(), y(quality), "stroke=\"#e4e4e4\"");
      svg +=
          text_at(left_ - 6, y(quality) + 4, "text-anchor=\"end\"",
                  match_ ? fmt::format("{:.0f}", 100 * quality) : fmt::format("{:.4g}", quality));
    }
    return svg + fmt::format(
                     "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"none\" "
                     "stroke=\"#777\"/>\n",
                     left_, top_, kWidth, kHeight);
  }

  std::string y_title() const {
    const double at = left_ - 44;
    const double middle = top_ + kHeight / 2;
    return text_at(
        at, middle,
        fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 {:.1f} {:.1f})\"", at, middle),
        match_ ? "exact match, %" : "NLL, nats per token (less is better)");
  }

 private:
  // To 1, 2 or 5 fifths of a power of ten, so that five lines have short numbers.
  static double rounded_up(double value) {
    const double unit = std::pow(10.0, std::floor(std::log10(value)));
    for (const double factor : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5}) {
      if (value <= factor * unit) return factor * unit;
    }
    return 10 * unit;
  }

  double left_, top_;
  bool match_;
  double low_ = 0, high_ = 1;  // powers of two
  double highest_ = 0;
};

std::string numbers_of(const CellReport& c) {
  const bool match = c.measure == Measure::kExactMatch;
  const double factor = match ? 100 : 1;
  return fmt::format("{} {}: {:.{}f}{} ({:.{}f} to {:.{}f}), {}, n = {}", c.policy, c.budget,
                     factor * c.quality.value, match ? 1 : 3, match ? " %" : "",
                     factor * c.quality.low, match ? 1 : 3, factor * c.quality.high, match ? 1 : 3,
                     to_string(Bytes{c.after_bytes}), c.samples);
}

// The 95 % interval, with a bar at either end that lies within the axes.
std::string whisker(const CellReport& c, double x, const Scale& scale, std::string_view color) {
  if (!std::isfinite(c.quality.low) || !std::isfinite(c.quality.high)) return {};
  constexpr double kBar = 2.4;
  std::string path =
      fmt::format("M{:.1f} {:.1f}V{:.1f}", x, scale.y(c.quality.low), scale.y(c.quality.high));
  for (const double end : {c.quality.low, c.quality.high}) {
    if (end < 0 || !scale.shows(end)) continue;
    path += fmt::format("M{:.1f} {:.1f}h{}", x - kBar, scale.y(end), 2 * kBar);
  }
  return fmt::format("<path d=\"{}\" stroke=\"{}\" stroke-width=\"1.1\" stroke-opacity=\"0.65\"/>",
                     path, color);
}

// One policy in one panel, so much to the right of where its bytes are.
std::string series(std::vector<const CellReport*> cells, std::size_t policy, double aside,
                   const Scale& scale) {
  std::stable_sort(cells.begin(), cells.end(), [](const CellReport* a, const CellReport* b) {
    return a->after_bytes < b->after_bytes;
  });
  std::string path;
  std::string points;
  for (const CellReport* c : cells) {
    const double x = scale.x(static_cast<double>(c->after_bytes)) + aside;
    const double y = scale.y(c->quality.value);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, y);
    points += fmt::format("<g><title>{}</title>{}{}</g>\n", escaped_xml(numbers_of(*c)),
                          whisker(*c, x, scale, color_of(policy)), mark(policy, x, y));
  }
  return (cells.size() > 1 ? joined_by(policy, path) : std::string()) + points;
}

// Above the axes, where most policies of a budget lie.
std::string budget_names(const std::vector<const CellReport*>& cells, const Scale& scale) {
  struct Name {
    std::string_view text;
    std::vector<double> at;
  };
  std::vector<Name> names;
  for (const CellReport* c : cells) {
    const std::string_view text = c->budget.empty() ? std::string_view("all rows") : c->budget;
    auto found = std::find_if(names.begin(), names.end(), [&](auto& n) { return n.text == text; });
    if (found == names.end()) found = names.insert(found, {text, {}});
    found->at.push_back(scale.x(static_cast<double>(c->after_bytes)));
  }
  for (Name& name : names) std::sort(name.at.begin(), name.at.end());
  std::sort(names.begin(), names.end(),
            [](const Name& a, const Name& b) { return a.at.front() < b.at.front(); });
  std::string svg;
  double taken = 0;
  for (const Name& name : names) {
    const double wide = kLetter * static_cast<double>(name.text.size());
    const double at = std::max(name.at[name.at.size() / 2], taken + wide / 2);
    svg += text_at(at, scale.top() - 5, "text-anchor=\"middle\" fill=\"#555\"", name.text);
    taken = at + wide / 2 + kLetter;
  }
  return svg;
}

// How well the whole cache does, if it was tried.
std::string full_line(const std::vector<const CellReport*>& cells, const Scale& scale) {
  for (const CellReport* c : cells) {
    if (c->policy != "full") continue;
    const double y = scale.y(c->quality.value);
    return line_between(scale.left(), y, scale.right(), y,
                        "stroke=\"#000\" stroke-dasharray=\"1 3\"");
  }
  return {};
}

// Policies of the same budget lie where their bytes are, give or take: side by side. Those that
// have none lie there alone.
std::vector<double> places_of(const std::vector<const CellReport*>& cells,
                              const std::vector<std::string>& policies, const Scale& scale) {
  std::vector<std::size_t> beside;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const bool budgeted = std::any_of(cells.begin(), cells.end(), [&](const CellReport* c) {
      return c->policy == policies[p] && !c->budget.empty();
    });
    if (budgeted) beside.push_back(p);
  }
  std::vector<double> aside(policies.size(), 0.0);
  const auto count = static_cast<double>(beside.size());
  // Neighbouring powers of two stay apart.
  const double spread = std::min(kSpread, 0.9 * (scale.x(2) - scale.x(1)) / count);
  for (std::size_t i = 0; i < beside.size(); ++i) {
    aside[beside[i]] = spread * (static_cast<double>(i) - (count - 1) / 2);
  }
  return aside;
}

std::string panel(const std::vector<const CellReport*>& cells,
                  const std::vector<std::string>& policies, const Scale& scale) {
  std::string svg = text_at(
      scale.left(), scale.top() - 22, "font-weight=\"bold\"",
      fmt::format("{}, {} tokens", cells.front()->task, length_text(cells.front()->length)));
  svg += scale.axes() + budget_names(cells, scale) + full_line(cells, scale);
  const std::vector<double> aside = places_of(cells, policies, scale);
  for (std::size_t p = 0; p < policies.size(); ++p) {
    std::vector<const CellReport*> own;
    for (const CellReport* c : cells) {
      if (c->policy == policies[p]) own.push_back(c);
    }
    if (!own.empty()) svg += series(std::move(own), p, aside[p], scale);
  }
  return svg;
}

std::string legend(const std::vector<std::string>& policies, double left, double top) {
  constexpr double kSample = 30;
  std::string svg;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const double y = top + kLegendLine * (static_cast<double>(p) + 0.5);
    svg += joined_by(p, fmt::format("M{:.1f} {:.1f}h{}", left, y, kSample));
    svg +=
        mark(p, left + kSample / 2, y) + "\n" + text_at(left + kSample + 8, y + 4, "", policies[p]);
  }
  return svg;
}

double legend_width(const std::vector<std::string>& policies) {
  std::size_t longest = 0;
  for (const std::string& name : policies) longest = std::max(longest, name.size());
  return 60 + kLetter * static_cast<double>(longest);
}

}  // namespace

std::string quality_plot(const EvalReport& report) {
  const auto tasks = different(report.cells, [](const CellReport& c) { return c.task; });
  const auto lengths = different(report.cells, [](const CellReport& c) { return c.length; });
  const auto policies = different(report.cells, [](const CellReport& c) { return c.policy; });
  std::string body = text_at(16, 24, "font-size=\"16\" font-weight=\"bold\"",
                             fmt::format("{}: {}", report.name, report.model));
  constexpr std::string_view kGrey = "fill=\"#555\"";
  body += text_at(16, 43, kGrey,
                  "A point is a budget, with its 95 % interval; those of a policy are joined.");
  body += text_at(16, 59, kGrey,
                  "Policies are spread sideways, to tell them apart. Dotted: the full cache.");
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const double top = kHead + kAbove + (kAbove + kHeight + kBelow) * static_cast<double>(t);
    for (std::size_t l = 0; l < lengths.size(); ++l) {
      std::vector<const CellReport*> cells;
      for (const CellReport& c : report.cells) {
        if (c.task == tasks[t] && c.length == lengths[l]) cells.push_back(&c);
      }
      if (cells.empty()) continue;
      const Scale scale(cells, kLeft + (kWidth + kBetween) * static_cast<double>(l), top);
      body += panel(cells, policies, scale);
      if (l == 0) body += scale.y_title();
    }
  }
  const double right = kLeft + (kWidth + kBetween) * static_cast<double>(lengths.size());
  const double down = kHead + (kAbove + kHeight + kBelow) * static_cast<double>(tasks.size());
  body += text_at((kLeft + right - kBetween) / 2, down + 16, "text-anchor=\"middle\"",
                  "bytes that the document takes once it is compacted (log scale)");
  body += legend(policies, right - 16, kHead + kAbove);
  const double legend_end =
      kHead + kAbove + kLegendLine * static_cast<double>(policies.size()) + kFoot;
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{2}</svg>\n",
      right + legend_width(policies), std::max(down + kFoot, legend_end), body);
}

}  // namespace varve
