#include "coordinator/jobs/run_report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/units.h"
#include "coordinator/jobs/atomic_file.h"
#include "coordinator/jobs/receipts.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

double milliseconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

Json phase_json(const PhaseReport& p) {
  return {{"steps", p.steps},
          {"rows", p.rows},
          {"elapsed_ms", milliseconds(p.elapsed_ns)},
          {"busy_ms", milliseconds(p.busy_ns)},
          {"wait_receive_ms", milliseconds(p.receive_ns)},
          {"wait_send_ms", milliseconds(p.send_ns)},
          {"busy_share", share(p.busy_ns, p.elapsed_ns)}};
}

Json bytes_json(const Footprint* plan, const Footprint& actual) {
  const auto line = [&](std::size_t Footprint::*field) {
    return Json{{"plan", plan == nullptr ? Json(nullptr) : Json(plan->*field)},
                {"actual", actual.*field}};
  };
  return {{"weights", line(&Footprint::weights)},
          {"kv_peak", line(&Footprint::kv)},
          {"workspace", line(&Footprint::workspace)},
          {"channel", line(&Footprint::channel)},
          {"total",
           {{"plan", plan == nullptr ? Json(nullptr) : Json(plan->total())},
            {"actual", actual.total()}}}};
}

Json sent_json(const std::vector<TrafficReport>& traffic) {
  Json json = Json::object();
  for (const TrafficReport& t : traffic) {
    json[t.purpose] = {{"bytes", t.bytes}, {"messages", t.messages}};
  }
  return json;
}

Json rank_json(const RankReport& r, const Footprint* plan) {
  return {{"rank", r.rank},
          {"host", r.host},
          {"backend", r.backend},
          {"activations", r.activations},
          {"pinned_cores", r.pinned_cores.empty() ? Json(nullptr) : Json(r.pinned_cores)},
          {"layers", {r.layers.begin, r.layers.end}},
          {"bytes", bytes_json(plan, r.bytes)},
          {"peak_resident_bytes", r.peak_resident_bytes},
          {"prefill", phase_json(r.prefill)},
          {"decode", phase_json(r.decode)},
          {"sent", sent_json(r.traffic)}};
}

std::vector<TrafficReport> traffic_of_all(const std::vector<RankReport>& ranks) {
  std::map<std::string, TrafficReport> by_purpose;
  for (const RankReport& r : ranks) {
    for (const TrafficReport& t : r.traffic) {
      TrafficReport& sum = by_purpose[t.purpose];
      sum.purpose = t.purpose;
      sum.bytes += t.bytes;
      sum.messages += t.messages;
    }
  }
  std::vector<TrafficReport> all;
  for (const auto& [purpose, sum] : by_purpose) all.push_back(sum);
  return all;
}

Json pipeline_json(const RunReport& report, PhaseReport RankReport::*phase, double seconds) {
  const double busy = busy_share(report.ranks, phase);
  return {{"seconds", seconds}, {"busy_share", busy}, {"bubble_share", busy > 0 ? 1 - busy : 0}};
}

// What others wrote as JSON; as text if it is none, for the report must not be lost over it.
Json embedded(const std::string& text) {
  if (text.empty()) return nullptr;
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

Json inputs_json(const RunReport& r) {
  return {{"model", r.model},
          {"model_sha256", r.model_sha256},
          {"document_sha256", r.document_sha256},
          {"seed", r.seed},
          {"prefix_tokens", r.prefix_tokens},
          {"document_tokens", r.document_tokens},
          {"questions", r.questions}};
}

const Footprint* planned_for(const RunReport& report, std::size_t rank) {
  return rank < report.planned.size() ? &report.planned[rank] : nullptr;
}

}  // namespace

double busy_share(const std::vector<RankReport>& ranks, PhaseReport RankReport::*phase) {
  std::uint64_t busy = 0;
  std::uint64_t longest = 0;
  for (const RankReport& r : ranks) {
    busy += (r.*phase).busy_ns;
    longest = std::max(longest, (r.*phase).elapsed_ns);
  }
  return share(busy, longest * ranks.size());
}

std::string to_json(const RunReport& r) {
  Json json;
  for (const auto& [name, version] : r.versions) json["versions"][name] = version;
  json["started"] = r.started;
  json["exit_code"] = r.exit_code;
  json["inputs"] = inputs_json(r);
  json["answer_tokens"] = r.answer_tokens;
  json["load_seconds"] = r.load_seconds;
  json["prefill"] = pipeline_json(r, &RankReport::prefill, r.prefill_seconds);
  json["prefill"]["planned_busy_share"] = r.planned_fill;
  if (r.resumed_rows > 0) {
    json["prefill"]["resumed_rows"] = r.resumed_rows;
    json["prefill"]["resumed_seconds"] = r.resumed_seconds;
  }
  json["decode"] = pipeline_json(r, &RankReport::decode, r.decode_seconds);
  json["ranks"] = Json::array();
  for (std::size_t i = 0; i < r.ranks.size(); ++i) {
    json["ranks"].push_back(rank_json(r.ranks[i], planned_for(r, i)));
  }
  if (!r.policy.empty()) {
    json["policy"] = {{"policy", r.policy},
                      {"hash", fmt::format("{:016x}", r.policy_hash)},
                      {"receipts", receipts_json(receipts_of(r.ranks))}};
  }
  if (!r.audit.empty()) json["audit"] = r.audit;
  json["sent"] = sent_json(traffic_of_all(r.ranks));
  json["plan"] = embedded(r.plan_json);
  json["job"] = embedded(r.job_json);
  json["cluster"] = embedded(r.cluster_json);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_run_report(const std::string& path, const RunReport& report) {
  write_file_atomically(path, to_json(report));
}

std::string report_table(const RunReport& report) {
  constexpr std::string_view kLine = "{:>4}  {:>7}  {:>12}  {:>12}  {:>24}  {:>24}\n";
  const auto percent = [](const PhaseReport& p) {
    return p.elapsed_ns == 0 ? std::string("-")
                             : fmt::format("{:.0f} %", 100 * share(p.busy_ns, p.elapsed_ns));
  };
  const auto both = [](const Footprint* plan, const Footprint& actual,
                       std::size_t Footprint::*field) {
    const std::string held = to_string(Bytes{actual.*field});
    if (plan == nullptr || plan->*field == actual.*field) return held;
    return fmt::format("{} (plan {})", held, to_string(Bytes{plan->*field}));
  };
  std::string text =
      fmt::format(kLine, "rank", "layers", "prefill busy", "decode busy", "weights", "KV peak");
  for (std::size_t i = 0; i < report.ranks.size(); ++i) {
    const RankReport& r = report.ranks[i];
    const Footprint* plan = planned_for(report, i);
    text +=
        fmt::format(kLine, r.rank, fmt::format("{}:{}", r.layers.begin, r.layers.end),
                    percent(r.prefill), percent(r.decode), both(plan, r.bytes, &Footprint::weights),
                    both(plan, r.bytes, &Footprint::kv));
  }
  const std::string receipts = receipts_table(receipts_of(report.ranks));
  if (!receipts.empty()) text += fmt::format("\ncache policy: {}\n{}", report.policy, receipts);
  return text;
}

}  // namespace varve
