#include "common/text/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/model/model_files.h"
#include "common/text/load_tokenizer.h"
#include "common/text/tokenizer.h"

namespace varve {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json small_document() {
  return json::parse(R"({
    "version": "1.0",
    "added_tokens": [
      {"id": 4, "content": "<s>", "special": true},
      {"id": 5, "content": "<tool>", "special": false, "lstrip": true}
    ],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "\\s"}, "behavior": "Removed", "invert": false},
      {"type": "Digits", "individual_digits": true},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
    "post_processor": {"type": "Sequence", "processors": [
      {"type": "ByteLevel"},
      {"type": "TemplateProcessing",
       "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
       "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}}]},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
      "vocab": {"a": 0, "b": 1, "ab": 2, "abb": 3}, "merges": ["a b", ["ab", "b"]]}
  })");
}

TokenizerSpec parse(const json& document) {
  return parse_tokenizer_json(document.dump(), "t.json");
}

TEST(TokenizerJson, SmallDocument) {
  const Tokenizer tokenizer(parse(small_document()));
  EXPECT_THAT(tokenizer.encode("ab abb"), ElementsAre(4, 2, 3));
  EXPECT_THAT(tokenizer.encode("b <tool>"), ElementsAre(4, 1, 5));
  EXPECT_EQ(tokenizer.bos(), 4);
  EXPECT_TRUE(tokenizer.adds_bos());
  EXPECT_TRUE(tokenizer.is_special(4));
  EXPECT_FALSE(tokenizer.is_special(5));
}

TEST(TokenizerJson, ModelWithoutOptionalParts) {
  const TokenizerSpec spec =
      parse({{"model", {{"vocab", {{"a", 0}, {"b", 1}}}, {"merges", json::array()}}}});
  EXPECT_FALSE(spec.byte_level);
  EXPECT_FALSE(spec.add_bos);
  EXPECT_FALSE(spec.strip_leading_space);
  EXPECT_THAT(Tokenizer(spec).encode("ba"), ElementsAre(1, 0));
}

TEST(TokenizerJson, Flags) {
  json document = small_document();
  document["model"]["ignore_merges"] = true;
  document["model"]["byte_fallback"] = true;
  document["model"]["fuse_unk"] = true;
  document["model"]["unk_token"] = "b";
  document["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}};
  const TokenizerSpec spec = parse(document);
  EXPECT_TRUE(spec.ignore_merges && spec.byte_fallback && spec.fuse_unknown);
  EXPECT_TRUE(spec.strip_leading_space);
  EXPECT_EQ(spec.unknown, 1);
}

TEST(TokenizerJson, Metaspace) {
  json document = small_document();
  document["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}};
  const TokenizerSpec spec = parse(document);
  const auto& step = std::get<MetaspaceStep>(spec.pre_tokenizer.at(0));
  EXPECT_EQ(step.prepend, MetaspaceStep::Prepend::kAlways);
  EXPECT_TRUE(step.split);
}

// `pointer` names what is replaced (or added), `value` what it becomes.
struct Wrong {
  const char* pointer;
  const char* value;
  const char* message;
};

std::string refusal(const json& document) {
  try {
    const Tokenizer tokenizer(parse(document));
  } catch (const IoError& error) {
    return error.what();
  }
  return "taken";
}

TEST(TokenizerJson, EachErrorSaysWhere) {
  const Wrong cases[] = {
      {"/model", "null", "t.json: has no 'model'"},
      {"/model", "[]", "t.json: model: is array; an object would be right"},
      {"/model/type", R"("WordPiece")", "t.json: model.type: is 'WordPiece'; varve has BPE"},
      {"/model/dropout", "0.1", "model.dropout: is set; null would be right to run a model"},
      {"/model/end_of_word_suffix", R"("</w>")", "end_of_word_suffix: is set; varve has models"},
      {"/model/unk_token", R"("zz")", "t.json: model.unk_token: 'zz' is no token"},
      {"/model/vocab", R"(["a"])", "t.json: model.vocab: is array; an object would be right"},
      {"/model/vocab/b", "\"x\"",
       "model.vocab: the id of 'b' is string; an integer would be right"},
      {"/model/vocab/b", "-1", "model.vocab: is -1; an id from 0 to 16777215 would be right"},
      {"/model/vocab/b", "18446744073709551615",
       "model.vocab: is 18446744073709551615; an id from"},
      {"/model/vocab/b", "16777216", "is 16777216; an id from 0 to 16777215 would be right"},
      {"/model/vocab/b", "1.5", "the id of 'b' is number; an integer would be right"},
      {"/model/vocab/b", "0", "model.vocab: the id 0 belongs to 'a' and to 'b'"},
      {"/model/vocab/b", "9", "model.vocab: the id of 'b' is 9, but the file has 6 tokens"},
      {"/model/vocab/", "6", "model.vocab: the token 6 is empty"},
      {"/model/merges", "{}", "model.merges: is object; a list would be right"},
      {"/model/merges/0", R"("ab")", "merge 0 is 'ab'; two tokens with one space between"},
      {"/model/merges/0", R"("a b b")", "merge 0 is 'a b b'; two tokens with one space"},
      {"/model/merges/0", R"(" a")", "merge 0 is ' a'; two tokens with one space"},
      {"/model/merges/0", R"(["a"])", "model.merges[0]: has other than two tokens"},
      {"/model/merges/0", "7", "model.merges[0]: is number; a list would be right"},
      {"/model/merges/0", R"("a z")", "merge 0 needs the token 'z', which the vocabulary lacks"},
      {"/model/merges/0", R"("b a")", "merge 0 needs the token 'ba', which the vocabulary lacks"},
      {"/model/merges/1", R"("a b")", "merge 1 of 'a' and 'b' stands twice"},
      {"/model/merges/1", R"(["", "a"])", "merge 1 needs the token '', which the vocabulary lacks"},
      {"/added_tokens/0/id", "0", "added_tokens[0]: the id 0 belongs to 'a' and to '<s>'"},
      {"/added_tokens/0/content", "\"\"", "added_tokens[0]: the token 4 is empty"},
      {"/added_tokens/0/special", "1", "added_tokens[0].special: is number; true or false would"},
      {"/added_tokens/0/content", "null", "t.json: added_tokens[0]: has no 'content'"},
      {"/normalizer/normalizers/0/type", R"("NFKC")",
       "t.json: normalizer.normalizers[0]: the normalizer 'NFKC' is unknown; varve has NFC, "
       "Prepend, Replace and Sequence"},
      {"/pre_tokenizer/pretokenizers/1/type", R"("Whitespace")",
       "the pre-tokenizer 'Whitespace' is unknown; varve has ByteLevel, Split, Digits, Metaspace"},
      {"/pre_tokenizer/pretokenizers/0/pattern", "{}",
       R"(pretokenizers[0].pattern: has neither "String" nor "Regex")"},
      {"/pre_tokenizer/pretokenizers/0/pattern", R"({"String": ""})", "is an empty string"},
      {"/pre_tokenizer/pretokenizers/0/pattern", R"({"Regex": "("})", "is not one: missing"},
      {"/pre_tokenizer/pretokenizers/0/behavior", R"("Split")",
       "is 'Split'; Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous would be"},
      {"/pre_tokenizer/pretokenizers/1", R"({"type": "Metaspace", "replacement": "ab"})",
       "replacement: is 'ab'; one character would be right"},
      {"/pre_tokenizer/pretokenizers/1",
       R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "x"})",
       "prepend_scheme: is 'x'; always, first or never would be right"},
      {"/post_processor/processors/0/type", R"("Roberta")",
       "the post-processor 'Roberta' is unknown; varve has ByteLevel, TemplateProcessing and"},
      {"/post_processor/processors/1/special_tokens/<s>/ids", "[4, 5]", "has other than one id"},
      {"/post_processor/processors/1/special_tokens/<s>/ids", "[77]",
       "the beginning-of-sequence token is 77; an id below 6 would be right"},
  };
  for (const Wrong& wrong : cases) {
    json document = small_document();
    document[json::json_pointer(wrong.pointer)] = json::parse(wrong.value);
    EXPECT_THAT(refusal(document), HasSubstr(wrong.message)) << wrong.pointer;
  }
}

TEST(TokenizerJson, HolesAmongTheIds) {
  json document = small_document();
  document["model"]["vocab"].erase("b");
  document["model"]["merges"] = json::array();
  document["added_tokens"].push_back(document["added_tokens"][0]);
  EXPECT_EQ(refusal(document), "t.json: no token has the id 1, but ids go up to 5");
}

TEST(TokenizerJson, TextThatIsNoTokenizer) {
  EXPECT_THROW(parse_tokenizer_json("", "t.json"), IoError);
  EXPECT_THROW(parse_tokenizer_json("[]", "t.json"), IoError);
  EXPECT_THROW(parse_tokenizer_json(R"({"model": {"vocab": {"a": 0, "a": 1}, "merges": []}})", "t"),
               IoError)
      << "a token twice";
}

TEST(TokenizerConfig, NamesTokensAndTemplate) {
  json document = small_document();
  document.erase("post_processor");
  TokenizerSpec spec = parse(document);
  apply_tokenizer_config(
      R"({"bos_token": {"content": "<s>"}, "eos_token": "abb", "add_bos_token": true,
          "chat_template": [{"name": "tool_use", "template": "x"},
                            {"name": "default", "template": "{{ y }}"}]})",
      "c.json", spec);
  EXPECT_EQ(spec.bos, 4);
  EXPECT_EQ(spec.eos, 3);
  EXPECT_TRUE(spec.add_bos);
  EXPECT_EQ(spec.chat_template, "{{ y }}");
}

TEST(TokenizerConfig, TheTemplateOfTokenizerJsonDecides) {
  TokenizerSpec spec = parse(small_document());
  apply_tokenizer_config(R"({"bos_token": "a", "add_bos_token": false, "eos_token": null})",
                         "c.json", spec);
  EXPECT_EQ(spec.bos, 4);
  EXPECT_TRUE(spec.add_bos);
  EXPECT_EQ(spec.eos, std::nullopt);
}

TEST(TokenizerConfig, UnknownToken) {
  TokenizerSpec spec = parse(small_document());
  try {
    apply_tokenizer_config(R"({"eos_token": "</s>"})", "c.json", spec);
    FAIL();
  } catch (const IoError& error) {
    EXPECT_STREQ(error.what(), "c.json: eos_token: '</s>' is no token of tokenizer.json");
  }
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("varve_tokenizer_" +
             std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  void write(const char* name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
  }
  ModelFiles model(std::size_t vocab) const {
    ModelFiles files;
    files.source = ModelSource::kHuggingFace;
    files.tokenizer_path = path_ / "tokenizer.json";
    files.config.vocab = vocab;
    return files;
  }

  std::filesystem::path path_;
};

TEST_F(Folder, IsReadWithItsConfigAndTemplate) {
  write("tokenizer.json", small_document().dump());
  write("tokenizer_config.json", R"({"eos_token": "ab", "chat_template": "from config"})");
  Tokenizer tokenizer = load_tokenizer(model(6));
  EXPECT_EQ(tokenizer.eos(), 2);
  EXPECT_EQ(tokenizer.chat_template(), "from config");
  write("chat_template.jinja", "from a file of its own");
  EXPECT_EQ(load_tokenizer(model(7)).chat_template(), "from a file of its own");
}

TEST_F(Folder, MissingOrTooLargeForTheModel) {
  try {
    load_tokenizer(model(6));
    FAIL();
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr("tokenizer.json: is missing; a model in a folder brings"));
  }
  write("tokenizer.json", small_document().dump());
  try {
    load_tokenizer(model(5));
    FAIL();
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the tokenizer has 6 tokens, but the model 5"));
  }
}

}  // namespace
}  // namespace varve
