// A folder with an evaluation of a small model, and what the program says of it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/regular_file.h"
#include "tests/cli/program.h"
#include "tests/cli/small_model.h"
#include "tests/support/temp_folder.h"

namespace varve {

class EvalFolder : public testing::Test {
 protected:
  static constexpr std::uint32_t kContext = 2048;
  static constexpr std::uint32_t kLayers = 3;

  EvalFolder() {
    GgufWriter model = small_model({"llama.context_length"}, kLayers);
    model.set("llama.context_length", kContext);
    model.write(folder_ / "m.gguf");
    write("t.txt", running_text());
    write_eval("policies: [full, {preset: snapkv, scorer: {window: 8}}, h2o]\nbudgets: [50%]\n");
  }

  std::string path(std::string_view name) const { return (folder_ / name).string(); }
  void write(std::string_view name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::string read(std::string_view name) const {
    return read_text_file(folder_ / name, std::size_t{16} << 20U);
  }
  /// eval.yaml with `lines` from line 7 on, and lengths of 512 unless they name others.
  void write_eval(std::string lines) const {
    if (lines.find("lengths:") == lines.npos) lines += "lengths: [512]\n";
    write("eval.yaml", fmt::format("model: m.gguf\n"
                                   "text: t.txt\n"
                                   "tasks: [pass_key, {{random_words: {{words: 12, given: 4}}}}]\n"
                                   "samples: 2\n"
                                   "chat: {{template: raw}}\n"
                                   "output: {{dir: out}}\n"
                                   "{}",
                                   lines));
  }

  /// `verb` on eval.yaml, with one thread a rank. In what it prints, the folder's own name is left
  /// out.
  Ended run(const std::string& more = "", const std::string& verb = "eval") const {
    return without_folder(run_varve(arguments(more, verb)));
  }
  std::string arguments(const std::string& more, const std::string& verb = "eval") const {
    return fmt::format("{} {} --threads 1 {}", verb, path("eval.yaml"), more);
  }
  Ended without_folder(Ended ended) const {
    const std::string name = folder_.path().string() + "/";
    for (std::string* text : {&ended.out, &ended.err}) {
      for (auto at = text->find(name); at != text->npos; at = text->find(name)) {
        text->erase(at, name.size());
      }
    }
    return ended;
  }

  nlohmann::json result(std::string_view name = "out/eval.json") const {
    return nlohmann::json::parse(read(name));
  }
  /// What came of each sample, without the times, by what it is a sample of.
  std::map<std::string, nlohmann::json> samples(std::string_view dir = "out") const {
    std::map<std::string, nlohmann::json> all;
    std::ifstream file(folder_ / dir / "samples.jsonl");
    for (std::string line; std::getline(file, line);) {
      nlohmann::json json = nlohmann::json::parse(line);
      json.erase("seconds");
      json.erase("read_seconds");
      const std::string name =
          fmt::format("{} {} {} {} {}", json["task"].get<std::string>(), json["length"].get<int>(),
                      json["policy"].get<std::string>(), json["budget"].get<std::string>(),
                      json["sample"].get<int>());
      EXPECT_TRUE(all.emplace(name, json).second) << name << " stands there twice";
    }
    return all;
  }

  TempFolder folder_;

 private:
  // Sentences of different lengths, of words that random_words takes.
  static std::string running_text() {
    constexpr std::array<std::string_view, 24> kWords = {
        "river",   "stone",   "garden", "winter",  "silver", "mountain", "letter", "yellow",
        "quiet",   "harbor",  "candle", "feather", "narrow", "thunder",  "meadow", "copper",
        "distant", "morning", "shadow", "timber",  "velvet", "window",   "anchor", "barrel"};
    std::string text;
    std::size_t next = 0;
    for (std::size_t i = 0; i < 600; ++i) {
      std::string sentence("The");
      for (std::size_t w = 0; w < 3 + i % 5; ++w) {
        next = (next * 5 + 7 + i) % kWords.size();
        sentence.append(" ").append(kWords[next]);
      }
      text.append(sentence).append(i % 4 == 3 ? ".\n" : ". ");
    }
    return text;
  }
};

}  // namespace varve
