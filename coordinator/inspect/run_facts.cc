#include "coordinator/inspect/run_facts.h"

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "common/io/strict_json.h"

namespace varve {
namespace {

using Json = nlohmann::json;

// Reports hold the job, whose document may be a text in it.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

RankFacts read_rank(const Json& json) {
  return {.host = json.at("host"),
          .layers = {json.at("layers").at(0), json.at("layers").at(1)},
          .kv_peak = json.at("bytes").at("kv_peak").at("actual")};
}

LayerReceipt read_receipt(const Json& json) {
  LayerReceipt receipt;
  receipt.layer = json.at("layer");
  receipt.document = json.at("rows_of") == "document";
  receipt.sequences = json.at("sequences");
  receipt.rows_seen = json.at("head_rows_seen");
  receipt.rows_kept = json.at("head_rows_kept");
  receipt.bytes_before = json.at("bytes_before");
  receipt.bytes_after = json.at("bytes_after");
  return receipt;
}

RunFacts read_facts(const Json& json) {
  const Json& inputs = json.at("inputs");
  RunFacts facts{.started = json.at("started"),
                 .model = inputs.at("model"),
                 .document_sha256 = inputs.at("document_sha256"),
                 .policy = {},
                 .document_tokens = inputs.at("document_tokens"),
                 .ranks = {},
                 .receipts = {},
                 .audit = {}};
  for (const Json& rank : json.at("ranks")) facts.ranks.push_back(read_rank(rank));
  if (json.contains("policy")) {
    facts.policy = json["policy"].at("policy");
    for (const Json& receipt : json["policy"].at("receipts")) {
      facts.receipts.push_back(read_receipt(receipt));
    }
  }
  // A name beside run.json, whatever it says.
  const Json audit = json.value("audit", Json());
  if (audit.is_string()) facts.audit = std::filesystem::path(audit.get<std::string>()).filename();
  return facts;
}

}  // namespace

RunFacts read_run_facts(const std::filesystem::path& run_json) {
  const std::string file = run_json.string();
  const Json json = parse_strict_json(read_text_file(run_json, kMostBytes), file);
  try {
    RunFacts facts = read_facts(json);
    if (!facts.audit.empty()) facts.audit = run_json.parent_path() / facts.audit;
    return facts;
  } catch (const Json::exception& error) {
    throw IoError(fmt::format("{}: is no run.json that varve wrote: {}", file, error.what()));
  }
}

}  // namespace varve
