#include "coordinator/eval/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "common/units.h"

namespace varve {
namespace {

// Pixels.
constexpr double kPanelWidth = 340;
constexpr double kPanelHeight = 230;
constexpr double kLeft = 64;  // of a panel, before its axes
constexpr double kRight = 16;
constexpr double kTop = 34;
constexpr double kBottom = 46;
constexpr double kHead = 44;  // of the picture
constexpr double kLegendLine = 20;
constexpr double kLegendWidth = 330;

// Okabe and Ito's colours, which most eyes tell apart; then the same with other marks.
constexpr std::array<std::string_view, 7> kColors = {"#000000", "#e69f00", "#0072b2", "#009e73",
                                                     "#d55e00", "#cc79a7", "#56b4e9"};

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

std::string mark(std::size_t policy, double x, double y) {
  const std::string_view color = kColors[policy % kColors.size()];
  constexpr double kSize = 4.5;
  switch (policy / kColors.size() % 3) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"/>", x, y, kSize,
                         color);
    case 1:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
                         x - kSize, y - kSize, 2 * kSize, 2 * kSize, color);
    default:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l{} {}h{}z\" fill=\"{}\"/>", x, y - kSize, kSize,
                         2 * kSize, -2 * kSize, color);
  }
}

// The axes of a panel, and where its numbers lie.
class Scale {
 public:
  Scale(const std::vector<const CellReport*>& cells, double left, double top)
      : left_(left + kLeft), top_(top + kTop) {
    match_ = cells.front()->measure == Measure::kExactMatch;
    double least = 0;
    for (const CellReport* c : cells) {
      const auto bytes = static_cast<double>(std::max<std::uint64_t>(c->after_bytes, 1));
      least = least == 0 ? bytes : std::min(least, bytes);
      most_ = std::max(most_, bytes);
      const double high = std::isfinite(c->quality.high) ? c->quality.high : c->quality.value;
      highest_ = std::max(highest_, high);
    }
    // A little room beside the outermost points, and some width even for one.
    low_ = std::floor(std::log2(least) - 0.2);
    high_ = std::ceil(std::log2(most_) + 0.2);
    highest_ = match_ ? 1 : std::max(0.1, 1.05 * highest_);
  }

  double x(double bytes) const {
    return left_ + (std::log2(std::max(bytes, 1.0)) - low_) / (high_ - low_) * width();
  }
  double y(double quality) const {
    const double share = std::clamp(quality / highest_, 0.0, 1.0);
    return top_ + height() * (1 - share);
  }

  std::string axes() const {
    std::string svg = fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
        "fill=\"none\" stroke=\"#888\"/>\n",
        left_, top_, width(), height());
    const double every = std::max(1.0, std::ceil((high_ - low_) / 5));
    for (double power = low_; power <= high_; power += every) {
      const double at = x(std::exp2(power));
      svg += line(at, top_, at, top_ + height());
      svg += text_at(at, top_ + height() + 15, "text-anchor=\"middle\"",
                     to_string(Bytes{static_cast<std::uint64_t>(std::exp2(power))}));
    }
    for (int i = 0; i <= 4; ++i) {
      const double quality = highest_ * i / 4;
      svg += line(left_, y(quality), left_ + width(), y(quality));
      svg +=
          text_at(left_ - 6, y(quality) + 4, "text-anchor=\"end\"",
                  match_ ? fmt::format("{:.0f} %", 100 * quality) : fmt::format("{:.2f}", quality));
    }
    const double middle = top_ + height() / 2;
    svg += text_at(left_ + width() / 2, top_ + height() + 33, "text-anchor=\"middle\"",
                   "bytes of the document once compacted");
    svg += text_at(left_ - 48, middle,
                   fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 {:.1f} {:.1f})\"",
                               left_ - 48, middle),
                   match_ ? "exact match" : "NLL (less is better)");
    return svg;
  }

 private:
  static double width() { return kPanelWidth - kLeft - kRight; }
  static double height() { return kPanelHeight - kTop - kBottom; }
  static std::string line(double x1, double y1, double x2, double y2) {
    return fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", x1, y1,
        x2, y2);
  }

  double left_, top_;
  double low_ = 0, high_ = 1;  // powers of two
  double most_ = 1;
  double highest_ = 0;
  bool match_ = true;
};

std::string numbers_of(const CellReport& c) {
  const bool match = c.measure == Measure::kExactMatch;
  const double factor = match ? 100 : 1;
  return fmt::format("{} {}: {:.{}f}{} ({:.{}f} to {:.{}f}), {}, n = {}", c.policy, c.budget,
                     factor * c.quality.value, match ? 1 : 3, match ? " %" : "",
                     factor * c.quality.low, match ? 1 : 3, factor * c.quality.high, match ? 1 : 3,
                     to_string(Bytes{c.after_bytes}), c.samples);
}

// One policy in one panel.
std::string series(std::vector<const CellReport*> cells, std::size_t policy, const Scale& scale) {
  std::sort(cells.begin(), cells.end(), [](const CellReport* a, const CellReport* b) {
    return a->after_bytes < b->after_bytes;
  });
  const std::string_view color = kColors[policy % kColors.size()];
  std::string path;
  std::string points;
  for (const CellReport* c : cells) {
    const double x = scale.x(static_cast<double>(c->after_bytes));
    const double y = scale.y(c->quality.value);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, y);
    points += fmt::format("<g><title>{}</title>", escaped_xml(numbers_of(*c)));
    if (std::isfinite(c->quality.low) && std::isfinite(c->quality.high)) {
      points += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"{3}\" opacity=\"0.5\"/>",
                            x, scale.y(c->quality.low), scale.y(c->quality.high), color);
    }
    points += mark(policy, x, y) + "</g>\n";
  }
  return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" opacity=\"0.6\"/>\n", path,
                     color) +
         points;
}

std::string panel(const std::vector<const CellReport*>& cells,
                  const std::vector<std::string>& policies, double left, double top) {
  const Scale scale(cells, left, top);
  std::string svg = text_at(
      left + kLeft, top + kTop - 10, "font-weight=\"bold\"",
      fmt::format("{}, {} tokens", cells.front()->task, length_text(cells.front()->length)));
  svg += scale.axes();
  for (std::size_t p = 0; p < policies.size(); ++p) {
    std::vector<const CellReport*> own;
    for (const CellReport* c : cells) {
      if (c->policy == policies[p]) own.push_back(c);
    }
    if (!own.empty()) svg += series(std::move(own), p, scale);
  }
  return svg;
}

}  // namespace

std::string quality_plot(const EvalReport& report) {
  const auto tasks = different(report.cells, [](const CellReport& c) { return c.task; });
  const auto lengths = different(report.cells, [](const CellReport& c) { return c.length; });
  const auto policies = different(report.cells, [](const CellReport& c) { return c.policy; });
  const double panels = kPanelWidth * static_cast<double>(lengths.size());
  const double legend = kLegendLine * static_cast<double>(policies.size() + 1);
  const double down = kPanelHeight * static_cast<double>(tasks.size());
  std::string body =
      text_at(16, 26, "font-size=\"16\" font-weight=\"bold\"",
              fmt::format("{}: quality against bytes, {}", report.name, report.model));
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    for (std::size_t l = 0; l < lengths.size(); ++l) {
      std::vector<const CellReport*> cells;
      for (const CellReport& c : report.cells) {
        if (c.task == tasks[t] && c.length == lengths[l]) cells.push_back(&c);
      }
      if (cells.empty()) continue;
      body += panel(cells, policies, kPanelWidth * static_cast<double>(l),
                    kHead + kPanelHeight * static_cast<double>(t));
    }
  }
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const double y = kHead + kTop + kLegendLine * static_cast<double>(p);
    body += mark(p, panels + 16, y) + "\n" + text_at(panels + 30, y + 4, "", policies[p]);
  }
  const double height = kHead + std::max(down, legend + kTop) + 8;
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{2}</svg>\n",
      panels + kLegendWidth, height, body);
}

}  // namespace varve
