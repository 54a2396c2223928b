#include "coordinator/inspect/audit_file.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "common/io/strict_json.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

// Six digits tell spans apart; nothing is short.
Json rounded(double share) {
  if (share == 0) return 0;
  return std::strtod(fmt::format("{:.6g}", share).c_str(), nullptr);
}

Json kept_json(const AuditRecord& record, const AuditKept& kept) {
  Json layers = Json::array();
  for (const std::vector<std::uint32_t>& rows : kept.layers) {
    Json heads = Json::array();
    for (std::size_t head = 0; head < record.kv_heads; ++head) {
      const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(head * record.cell_count());
      heads.push_back(std::vector(begin, begin + static_cast<std::ptrdiff_t>(record.cell_count())));
    }
    layers.push_back(std::move(heads));
  }
  return {{"question", kept.question ? Json(*kept.question) : Json(nullptr)},
          {"span_rows", kept.span_rows},
          {"span_layers", kept.span_layers},
          {"layers", std::move(layers)}};
}

Json question_json(const AuditQuestion& q) {
  Json shares = Json::array();
  for (const double share : q.shares) shares.push_back(rounded(share));
  return {{"id", q.id},
          {"question", q.question},
          {"answer", q.answer},
          {"rows", q.rows},
          {"shares", std::move(shares)}};
}

Json memory_json(const std::vector<MemorySample>& samples) {
  Json times = Json::array();
  Json bytes = Json::array();
  for (const MemorySample& s : samples) {
    times.push_back(s.milliseconds);
    bytes.push_back(s.bytes);
  }
  return {{"ms", std::move(times)}, {"bytes", std::move(bytes)}};
}

// What follows reads it back. Types are the library's affair, sizes ours.

AuditKept read_kept(const nlohmann::json& json) {
  AuditKept kept;
  if (!json.at("question").is_null()) kept.question = json.at("question").get<std::uint32_t>();
  json.at("span_rows").get_to(kept.span_rows);
  json.at("span_layers").get_to(kept.span_layers);
  for (const nlohmann::json& heads : json.at("layers")) {
    std::vector<std::uint32_t>& rows = kept.layers.emplace_back();
    for (const nlohmann::json& head : heads) {
      const auto part = head.get<std::vector<std::uint32_t>>();
      rows.insert(rows.end(), part.begin(), part.end());
    }
  }
  return kept;
}

AuditQuestion read_question(const nlohmann::json& json) {
  return {.id = json.at("id"),
          .question = json.at("question"),
          .answer = json.at("answer"),
          .rows = json.at("rows"),
          .shares = json.at("shares")};
}

std::vector<MemorySample> read_memory(const nlohmann::json& json) {
  const auto times = json.at("ms").get<std::vector<std::uint32_t>>();
  const auto bytes = json.at("bytes").get<std::vector<std::uint64_t>>();
  std::vector<MemorySample> samples;
  for (std::size_t i = 0; i < std::min(times.size(), bytes.size()); ++i) {
    samples.push_back({times[i], bytes[i]});
  }
  return samples;
}

AuditRecord read_record(const nlohmann::json& json) {
  AuditRecord record;
  json.at("model_layers").get_to(record.layers);
  json.at("kv_heads").get_to(record.kv_heads);
  json.at("q_heads").get_to(record.q_heads);
  json.at("rows").get_to(record.rows);
  json.at("document_begin").get_to(record.document_begin);
  json.at("span_rows").get_to(record.grid.span_rows);
  json.at("cell_rows").get_to(record.grid.cell_rows);
  json.at("spans").get_to(record.spans);
  for (const nlohmann::json& kept : json.at("kept")) record.kept.push_back(read_kept(kept));
  for (const nlohmann::json& q : json.at("questions")) record.questions.push_back(read_question(q));
  for (const nlohmann::json& rank : json.at("memory")) record.memory.push_back(read_memory(rank));
  return record;
}

bool fits(const AuditRecord& record, const AuditKept& kept) {
  for (const std::vector<std::uint32_t>& rows : kept.layers) {
    if (rows.size() != record.kv_heads * record.cell_count()) return false;
  }
  return kept.layers.size() == record.layers && kept.span_rows.size() == record.spans.size() &&
         kept.span_layers.size() == record.spans.size() &&
         (!kept.question || *kept.question < record.questions.size());
}

// Whether all numbers are about the same grid.
bool is_whole(const AuditRecord& record) {
  for (const std::uint32_t count : {record.layers, record.kv_heads, record.q_heads,
                                    record.grid.span_rows, record.grid.cell_rows}) {
    if (count == 0) return false;
  }
  if (record.questions.empty() || record.spans.size() != record.span_count() ||
      record.document_begin > record.rows) {
    return false;
  }
  for (const AuditKept& kept : record.kept) {
    if (!fits(record, kept)) return false;
  }
  for (const AuditQuestion& question : record.questions) {
    if (question.shares.size() != record.spans.size()) return false;
  }
  return true;
}

}  // namespace

std::string to_json(const AuditRecord& record) {
  Json json = {{"version", kVersion},
               {"model_layers", record.layers},
               {"kv_heads", record.kv_heads},
               {"q_heads", record.q_heads},
               {"rows", record.rows},
               {"document_begin", record.document_begin},
               {"span_rows", record.grid.span_rows},
               {"cell_rows", record.grid.cell_rows}};
  for (const char* list : {"memory", "questions", "kept"}) json[list] = Json::array();
  for (const auto& samples : record.memory) json["memory"].push_back(memory_json(samples));
  for (const AuditQuestion& q : record.questions) json["questions"].push_back(question_json(q));
  for (const AuditKept& kept : record.kept) json["kept"].push_back(kept_json(record, kept));
  json["spans"] = record.spans;
  std::string text;
  for (const auto& [key, value] : json.items()) {
    text += fmt::format("{}{}: {}", text.empty() ? "{\n" : ",\n", Json(key).dump(),
                        value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return text + "\n}\n";
}

AuditRecord read_audit(const std::filesystem::path& path) {
  const std::string file = path.string();
  const nlohmann::json json = parse_strict_json(read_text_file(path, kMostBytes), file);
  try {
    if (const int version = json.at("version"); version != kVersion) {
      throw IoError(fmt::format("{}: is an audit of version {}; this program reads version {}",
                                file, version, kVersion));
    }
    AuditRecord record = read_record(json);
    if (is_whole(record)) return record;
  } catch (const nlohmann::json::exception& error) {
    throw IoError(fmt::format("{}: is no audit that varve wrote: {}", file, error.what()));
  }
  throw IoError(
      fmt::format("{}: is no audit that varve wrote: its lists do not belong together", file));
}

}  // namespace varve
