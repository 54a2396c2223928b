#include "coordinator/inspect/memory_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/units.h"

namespace varve {
namespace {

// Pixels of the picture; the page scales it.
constexpr double kWidth = 960;
constexpr double kHeight = 260;
constexpr double kLeft = 84;
constexpr double kRight = 12;
constexpr double kTop = 10;
constexpr double kBottom = 30;
constexpr std::size_t kColors = 8;

// The next of 1, 2, 5, 10, 20, ... that cuts `length` into at most `parts`.
double round_step(double length, double parts) {
  const double least = std::max(length / parts, 1e-9);
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

// Bytes are read as MiB or GiB, which powers of two keep round.
double byte_step(double most) {
  return std::exp2(std::max(0.0, std::ceil(std::log2(std::max(most, 1.0) / 5))));
}

class Chart {
 public:
  explicit Chart(const std::vector<std::vector<MemorySample>>& ranks) {
    for (const auto& samples : ranks) {
      for (const MemorySample& s : samples) {
        seconds_ = std::max(seconds_, s.milliseconds / 1e3);
        bytes_ = std::max(bytes_, static_cast<double>(s.bytes));
      }
    }
    const double step = byte_step(bytes_);
    bytes_ = step * std::max(1.0, std::ceil(bytes_ / step));
  }

  std::string axes() const {
    std::string svg;
    const double step = byte_step(bytes_);
    for (double bytes = 0; bytes <= bytes_; bytes += step) {
      svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/>", kLeft, y(bytes),
                         kWidth - kRight);
      svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft - 8,
                         y(bytes) + 4, to_string(Bytes{static_cast<std::size_t>(bytes)}));
    }
    const double every = round_step(seconds_, 8);
    for (double at = 0; at <= seconds_; at += every) {
      svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:g} s</text>\n",
                         x(at), kHeight - 8, at);
    }
    return svg;
  }

  // Steps: what was the most since the sample before.
  std::string line(const std::vector<MemorySample>& samples, std::size_t rank) const {
    std::string path = fmt::format("M{:.1f} {:.1f}", x(0), y(0));
    for (const MemorySample& s : samples) {
      path +=
          fmt::format("V{:.1f}H{:.1f}", y(static_cast<double>(s.bytes)), x(s.milliseconds / 1e3));
    }
    return fmt::format("<path class=\"line {}\" d=\"{}\"><title>rank {}</title></path>\n",
                       rank_class(rank), path, rank);
  }

 private:
  double x(double seconds) const { return kLeft + seconds / seconds_ * (kWidth - kLeft - kRight); }
  double y(double bytes) const {
    return kHeight - kBottom - bytes / bytes_ * (kHeight - kTop - kBottom);
  }

  double seconds_ = 1e-3;
  double bytes_ = 1;
};

}  // namespace

std::string rank_class(std::size_t rank) {
  return fmt::format("rank{}", rank % kColors);
}

std::string memory_chart(const std::vector<std::vector<MemorySample>>& ranks) {
  const Chart chart(ranks);
  std::string svg = fmt::format(
      "<svg class=\"memory\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"bytes of the cache over time, a line for each rank\">\n",
      kWidth, kHeight);
  svg += chart.axes();
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) svg += chart.line(ranks[rank], rank);
  return svg + "</svg>\n";
}

}  // namespace varve
