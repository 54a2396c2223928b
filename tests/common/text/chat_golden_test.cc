// The same conversations as Jinja2 renders by models' own templates, and as llama.cpp's own test
// expects them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "common/model/gguf.h"
#include "common/text/chat_template.h"
#include "tests/common/text/real_vocabularies.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr std::size_t kMost = 1 << 24;

TemplateTokens any_tokens(std::string bos, std::string eos) {
  return {std::move(bos), std::move(eos), [](std::string_view) { return true; }};
}

const ChatMessage kSystem{"system", "You are a helpful assistant"};
const std::vector<ChatMessage> kTurns = {{"user", "Hello"},
                                         {"assistant", "Hi there"},
                                         {"user", "Who are you"},
                                         {"assistant", "   I am an assistant   "},
                                         {"user", " Another question\n"}};

// As in tests/golden/make_chat_goldens.py.
std::string render(const PromptTemplate& prompt_template, const std::string& conversation) {
  std::vector<ChatMessage> messages;
  const bool with_system = conversation != "no_system" && conversation != "question";
  if (with_system) messages.push_back(kSystem);
  const std::size_t turns = conversation == "answered"             ? 2
                            : conversation.starts_with("question") ? 1
                                                                   : kTurns.size();
  messages.insert(messages.end(), kTurns.begin(),
                  kTurns.begin() + static_cast<std::ptrdiff_t>(turns));
  return text_of(render_chat(prompt_template, messages, conversation != "answered"));
}

void expect_renderings(std::string_view jinja, const json& golden) {
  const PromptTemplate found = PromptTemplate::detect(jinja, any_tokens("<BOS>", "<EOS>"));
  for (const auto& [conversation, expected] : golden.items()) {
    if (expected.is_null()) continue;
    // With empty thoughts, if it is the last message; varve answers and never continues an answer.
    if (conversation == "answered" && jinja.find("</think>") != jinja.npos) continue;
    EXPECT_EQ(render(found, conversation), expected.get<std::string>())
        << conversation << " by " << found.name();
  }
}

json read_goldens() {
  return json::parse(read_text_file(
      std::filesystem::path(VARVE_SOURCE_DIR) / "tests/golden/tokenizers/chat_templates.json",
      kMost));
}

TEST(ChatGolden, TemplatesOfModelsAreRenderedOrRefused) {
  VARVE_NEED_VOCABULARY("qwen2");
  const json goldens = read_goldens();
  std::size_t rendered = 0;
  for (const auto& file : std::filesystem::directory_iterator(
           std::filesystem::path(environment("VARVE_LLAMA_VOCABS")) / "templates")) {
    const std::string name = file.path().filename();
    SCOPED_TRACE(name);
    const std::string jinja = read_text_file(file.path(), kMost);
    if (goldens.contains(name)) {
      expect_renderings(jinja, goldens.at(name));
      ++rendered;
    } else {
      EXPECT_THROW(PromptTemplate::detect(jinja, any_tokens("", "")), ConfigError);
    }
  }
  EXPECT_EQ(rendered, goldens.size() - 2) << "the other two are below";
}

TEST(ChatGolden, TemplatesInGgufFiles) {
  for (const char* name : {"qwen2", "smollm"}) {
    VARVE_NEED_VOCABULARY(name);
    SCOPED_TRACE(name);
    const auto file = GgufFile::open(real_vocabulary(name));
    expect_renderings(*file->metadata().get_string("tokenizer.chat_template"),
                      read_goldens().at(name));
  }
}

// A C string literal's value. `at` is behind its opening quote and moves behind the closing one.
std::string read_literal(std::string_view source, std::size_t& at) {
  std::string value;
  for (; source.at(at) != '"'; ++at) {
    if (source[at] != '\\') {
      value += source[at];
      continue;
    }
    const char escaped = source.at(++at);
    value += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
  }
  ++at;
  return value;
}

// The string that follows "/* .FIELD= */" from `from` on.
std::string read_field(std::string_view source, std::string_view field, std::size_t& from) {
  const std::string label = "/* ." + std::string(field) + "= */";
  const std::size_t label_at = source.find(label, from);
  if (label_at == source.npos) return {};
  std::size_t at = source.find('"', label_at) + 1;
  // R"(...)" has no escapes.
  std::string value;
  if (source.substr(label_at, at - label_at).ends_with("R\"")) {
    const std::size_t end = source.find(")\"", at);
    value = source.substr(at + 1, end - at - 1);
    at = end + 2;
  } else {
    value = read_literal(source, at);
  }
  from = at;
  return value;
}

struct PeerCase {
  std::string name, jinja, expected, expected_by_jinja;
};

std::vector<PeerCase> read_peer_cases(std::string_view source) {
  std::vector<PeerCase> cases;
  std::size_t at = 0;
  while (source.find("/* .name= */", at) != source.npos) {
    PeerCase peer;
    peer.name = read_field(source, "name", at);
    peer.jinja = read_field(source, "template_str", at);
    peer.expected = read_field(source, "expected_output", at);
    peer.expected_by_jinja = read_field(source, "expected_output_jinja", at);
    cases.push_back(std::move(peer));
  }
  return cases;
}

// Those of llama.cpp's cases whose template is one of ours; where running the Jinja gives something
// else than its own rules, the Jinja is right.
TEST(ChatGolden, PeerTest) {
  VARVE_NEED_VOCABULARY("qwen2");
  const std::string source = read_text_file(
      std::filesystem::path(environment("VARVE_LLAMA_VOCABS")) / "test-chat-template.cpp", kMost);
  const std::vector<ChatMessage> conversation = {{"system", "You are a helpful assistant"},
                                                 {"user", "Hello"},
                                                 {"assistant", "Hi there"},
                                                 {"user", "Who are you"},
                                                 {"assistant", "   I am an assistant   "},
                                                 {"user", "Another question"}};
  std::vector<std::string> rendered;
  for (const PeerCase& peer : read_peer_cases(source)) {
    SCOPED_TRACE(peer.name);
    std::string ours;
    try {
      const auto found = PromptTemplate::detect(peer.jinja, any_tokens("", "</s>"));
      ours = text_of(render_chat(found, conversation, true));
      rendered.emplace_back(found.name());
    } catch (const ConfigError&) {
      continue;
    }
    EXPECT_EQ(ours, peer.expected_by_jinja.empty() ? peer.expected : peer.expected_by_jinja);
  }
  std::sort(rendered.begin(), rendered.end());
  EXPECT_EQ(rendered, (std::vector<std::string>{"chatml", "llama3", "mistral-v0", "mistral-v1",
                                                "mistral-v3", "mistral-v3-tekken", "mistral-v7"}));
}

}  // namespace
}  // namespace varve
