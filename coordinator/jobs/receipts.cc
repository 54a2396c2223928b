#include "coordinator/jobs/receipts.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/units.h"

namespace varve {
namespace {

// What a line of the table says, apart from the layer and the hash.
bool says_the_same(const LayerReceipt& a, const LayerReceipt& b) {
  return a.document == b.document && a.sequences == b.sequences && a.rows_seen == b.rows_seen &&
         a.rows_kept == b.rows_kept && a.bytes_before == b.bytes_before &&
         a.bytes_after == b.bytes_after;
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

std::vector<LayerReceipt> receipts_of(const std::vector<RankReport>& ranks) {
  std::vector<LayerReceipt> all;
  for (const RankReport& rank : ranks) {
    all.insert(all.end(), rank.receipts.begin(), rank.receipts.end());
  }
  std::stable_sort(all.begin(), all.end(), [](const LayerReceipt& a, const LayerReceipt& b) {
    return a.document != b.document ? a.document : a.layer < b.layer;
  });
  return all;
}

std::string receipts_table(const std::vector<LayerReceipt>& receipts) {
  if (receipts.empty()) return {};
  constexpr std::string_view kLine = "{:>8}  {:>9}  {:>9}  {:>12}  {:>12}  {:>8}  {:>11}  {:>11}\n";
  std::string text = fmt::format(kLine, "layers", "rows of", "sequences", "head rows", "kept", "",
                                 "bytes", "after");
  for (std::size_t begin = 0; begin < receipts.size();) {
    std::size_t end = begin + 1;
    while (end < receipts.size() && says_the_same(receipts[begin], receipts[end])) ++end;
    const LayerReceipt& r = receipts[begin];
    const std::uint32_t last = receipts[end - 1].layer;
    text += fmt::format(
        kLine, r.layer == last ? fmt::format("{}", r.layer) : fmt::format("{}-{}", r.layer, last),
        r.document ? "document" : "question", r.sequences, r.rows_seen, r.rows_kept,
        percent(r.rows_kept, r.rows_seen), to_string(Bytes{r.bytes_before}),
        to_string(Bytes{r.bytes_after}));
    begin = end;
  }
  return text;
}

nlohmann::ordered_json receipts_json(const std::vector<LayerReceipt>& receipts) {
  auto json = nlohmann::ordered_json::array();
  for (const LayerReceipt& r : receipts) {
    json.push_back({{"layer", r.layer},
                    {"rows_of", r.document ? "document" : "question"},
                    {"sequences", r.sequences},
                    {"head_rows_seen", r.rows_seen},
                    {"head_rows_kept", r.rows_kept},
                    {"bytes_before", r.bytes_before},
                    {"bytes_after", r.bytes_after},
                    {"kept_hash", fmt::format("{:016x}", r.kept_hash)}});
  }
  return json;
}

bool acted(const std::vector<LayerReceipt>& receipts) {
  return std::any_of(receipts.begin(), receipts.end(), [](const LayerReceipt& r) {
    return r.rows_kept < r.rows_seen || r.bytes_after < r.bytes_before;
  });
}

}  // namespace varve
