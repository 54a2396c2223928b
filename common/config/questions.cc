#include "common/config/questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/io/regular_file.h"
#include "common/units.h"
#include "common/utf8.h"

namespace varve {
namespace {

using namespace literals;  // NOLINT(google-build-using-namespace)
using nlohmann::json;

constexpr Bytes kMostFileBytes = 64_MiB;
constexpr std::size_t kMostQuestions = 65536;
constexpr std::size_t kLongestId = 200;
constexpr std::uint32_t kMostTokens = 1U << 20;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

class QuestionReader {
 public:
  QuestionReader(std::uint32_t max_tokens, bool check_files)
      : max_tokens_(max_tokens), check_files_(check_files) {}

  void read(const ConfigNode& node) {
    if (!node.is_map()) {
      std::string text;
      if (node.read(text)) add({{}, text, max_tokens_, {}}, [&](auto what) { node.problem(what); });
      return;
    }
    node.read_map([&](ConfigMap& map) { read_entry(node, map); });
  }

  std::vector<Question> take() { return std::move(questions_); }

 private:
  void read_entry(const ConfigNode& node, ConfigMap& map) {
    Question question{{}, {}, max_tokens_, {}};
    std::filesystem::path file;
    const ConfigNode id = map.at("id");
    const ConfigNode text = map.at("text");
    const ConfigNode tokens = map.at("max_tokens");
    const ConfigNode probe = map.at("probe");
    const ConfigNode source = map.at("file");
    const bool has_own = id.exists() || text.exists() || tokens.exists() || probe.exists();
    if (source.exists() && has_own) {
      node.problem("give either file, or text with id, max_tokens and probe");
      return;
    }
    if (source.exists()) {
      if (source.read_path(file)) read_file(source, file);
      return;
    }
    if (!text.exists()) node.problem("a question needs text, or file");
    const bool good_id = !id.exists() || read_id(id, question.id);
    tokens.read(question.max_tokens, 1, kMostTokens);
    if (probe.exists() && probe.read(question.probe) && is_blank(question.probe)) {
      probe.problem("the probe is empty");
    }
    if (!text.read(question.text) || !good_id) return;
    add(std::move(question), [&](auto what) { node.problem(what); });
  }

  static bool read_id(const ConfigNode& node, std::string& id) {
    if (!node.read(id)) return false;
    if (id.empty()) node.problem("an id must not be empty");
    return !id.empty();
  }

  /// `report` takes what is wrong and knows where.
  template <class Report>
  void add(Question question, const Report& report) {
    if (is_blank(question.text)) return report("the question is empty");
    if (questions_.size() >= kMostQuestions) {
      if (!std::exchange(too_many_, true)) {
        report(fmt::format("more than {} questions", kMostQuestions));
      }
      return;
    }
    if (question.id.empty()) question.id = fmt::format("q{}", questions_.size() + 1);
    if (question.id.size() > kLongestId) {
      return report(fmt::format("an id is at most {} bytes long, {} is {}", kLongestId,
                                in_quotes(question.id), question.id.size()));
    }
    const auto [first, is_new] = ids_.emplace(question.id, questions_.size() + 1);
    if (!is_new) {
      report(fmt::format("the id {} is given twice, first to question {}", in_quotes(question.id),
                         first->second));
    }
    questions_.push_back(std::move(question));
  }

  void read_file(const ConfigNode& node, const std::filesystem::path& file) {
    const std::string ending = file.extension().string();
    if (ending != ".txt" && ending != ".jsonl") {
      node.problem(fmt::format("{}: a file of questions ends in .jsonl or .txt", file.string()));
      return;
    }
    if (!check_files_) return;
    try {
      read_lines(node, file, read_text_file(file, kMostFileBytes.count), ending == ".jsonl");
    } catch (const IoError& error) {
      node.problem(error.what());
    }
  }

  void read_lines(const ConfigNode& node, const std::filesystem::path& file, std::string_view rest,
                  bool is_json) {
    if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
    std::size_t found = 0;
    for (std::uint32_t number = 1; !rest.empty(); ++number) {
      const std::size_t end = rest.find('\n');
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (is_blank(line)) continue;
      ++found;
      const auto report = [&](std::string_view what) {
        node.problem(fmt::format("{}:{}: {}", file.string(), number, what));
      };
      if (!is_valid_utf8(line)) {
        report("is not UTF-8 text");
      } else if (is_json) {
        read_json_line(line, report);
      } else {
        add({{}, std::string(line), max_tokens_, {}}, report);
      }
    }
    if (found == 0) node.problem(fmt::format("{}: holds no question", file.string()));
  }

  template <class Report>
  void read_json_line(std::string_view line, const Report& report) {
    const json entry = json::parse(line, nullptr, false);
    if (!entry.is_object()) return report("is not a JSON object {\"id\": ..., \"text\": ...}");
    constexpr std::array<std::string_view, 4> kKeys = {"id", "text", "max_tokens", "probe"};
    for (const auto& [key, value] : entry.items()) {
      if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
        return report(fmt::format("unknown key {}{}", in_quotes(key), name_hint(key, kKeys)));
      }
    }
    Question question{{}, {}, max_tokens_, {}};
    if (!entry.contains("text") || !entry["text"].is_string()) return report("text must be a text");
    question.text = entry["text"].get<std::string>();
    if (entry.contains("id")) {
      const json& id = entry["id"];
      if (!id.is_string() && !id.is_number_integer()) {
        return report("id must be a text or a whole number");
      }
      question.id = id.is_string() ? id.get<std::string>() : id.dump();
      if (question.id.empty()) return report("an id must not be empty");
    }
    if (entry.contains("max_tokens")) {
      const json& tokens = entry["max_tokens"];
      const bool good = tokens.is_number_unsigned() && tokens.get<std::uint64_t>() >= 1 &&
                        tokens.get<std::uint64_t>() <= kMostTokens;
      if (!good) return report(fmt::format("max_tokens must be between 1 and {}", kMostTokens));
      question.max_tokens = tokens.get<std::uint32_t>();
    }
    if (entry.contains("probe")) {
      if (!entry["probe"].is_string()) return report("probe must be a text");
      question.probe = entry["probe"].get<std::string>();
      if (is_blank(question.probe)) return report("the probe is empty");
    }
    add(std::move(question), report);
  }

  std::uint32_t max_tokens_;
  bool check_files_;
  bool too_many_ = false;
  std::vector<Question> questions_;
  std::unordered_map<std::string, std::size_t> ids_;  // -> number of its question, from 1
};

}  // namespace

std::vector<Question> read_questions(const ConfigNode& node, std::uint32_t max_tokens,
                                     bool check_files) {
  QuestionReader reader(max_tokens, check_files);
  if (node.is_list()) {
    const std::vector<ConfigNode> items = node.read_list();
    if (items.empty()) node.problem("must name at least one question");
    for (const ConfigNode& item : items) reader.read(item);
  } else if (node.exists()) {
    reader.read(node);  // one question needs no list
  }
  return reader.take();
}

}  // namespace varve
