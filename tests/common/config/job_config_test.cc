#include "common/config/job_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/config/validate.h"
#include "common/error.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

using testing::HasSubstr;

JobConfig read(const std::string& text) {
  Problems problems;
  JobConfig job = read_job_text("here/my_job.yaml", text, {{}, false}, problems);
  EXPECT_EQ(joined(problems), "");
  return job;
}

TEST(Job, Defaults) {
  const JobConfig job = read(minimal_job());
  EXPECT_EQ(job.name, "my_job");
  EXPECT_EQ(job.model, "here/m.gguf");
  EXPECT_THAT(job.document.files, testing::ElementsAre("here/d.txt"));
  ASSERT_EQ(job.questions.size(), 1U);
  EXPECT_EQ(job.questions[0].id, "q1");
  EXPECT_EQ(job.questions[0].text, "Why");
  EXPECT_EQ(job.questions[0].max_tokens, 128U);
  EXPECT_EQ(job.chat.chat_template, ChatTemplate::kAuto);
  EXPECT_EQ(job.chat.system, "");
  EXPECT_EQ(job.sampling.temperature, 0);
  EXPECT_EQ(job.sampling.top_k, 0U);
  EXPECT_EQ(job.sampling.top_p, 1);
  EXPECT_EQ(job.sampling.min_p, 0);
  EXPECT_EQ(job.sampling.max_tokens, 128U);
  EXPECT_EQ(job.sampling.seed, 0U);
  EXPECT_TRUE(job.sampling.stop.empty());
  EXPECT_EQ(job.chunk, 512U);
  EXPECT_EQ(job.parallel, std::nullopt);
  EXPECT_EQ(job.policy, PolicyConfig{});
  EXPECT_EQ(job.kv_dtype, DType::kF16);
  EXPECT_EQ(job.output_dir, "here/out");
  EXPECT_TRUE(job.overwrite);
  EXPECT_FALSE(job.audit);
}

TEST(Job, EveryKey) {
  const JobConfig job = read(R"(
name: all
model: {path: /m}
document: {files: [a, /b], glob: "c/*.txt"}
questions:
  - {id: x, text: "X?", max_tokens: 5}
  - {text: "Y?", probe: It is}
chat: {template: llama3, system: Be brief.}
sampling: {temperature: 0.7, top_k: 40, top_p: 0.95, min_p: 0.05, max_tokens: 9, seed: 3, stop: [a, b]}
prefill: {chunk: 64, checkpoint: 4096}
decode: {parallel: 8}
cache: {policy: guided, budget: 99, dtype: bf16}
output: {dir: /o, overwrite: false, audit: true}
)");
  EXPECT_EQ(job.name, "all");
  EXPECT_EQ(job.model, "/m");
  EXPECT_THAT(job.document.files, testing::ElementsAre("here/a", "/b"));
  EXPECT_EQ(job.document.glob, "c/*.txt");
  EXPECT_EQ(job.document.folder, "here");
  EXPECT_EQ(job.questions[0].id, "x");
  EXPECT_EQ(job.questions[0].max_tokens, 5U);
  EXPECT_EQ(job.questions[0].probe, "");
  EXPECT_EQ(job.questions[1].probe, "It is");
  EXPECT_EQ(job.questions[1].id, "q2");
  EXPECT_EQ(job.questions[1].max_tokens, 9U);
  EXPECT_EQ(job.chat.chat_template, ChatTemplate::kLlama3);
  EXPECT_EQ(job.chat.system, "Be brief.");
  EXPECT_EQ(job.sampling.temperature, 0.7F);
  EXPECT_EQ(job.sampling.top_k, 40U);
  EXPECT_EQ(job.sampling.top_p, 0.95F);
  EXPECT_EQ(job.sampling.min_p, 0.05F);
  EXPECT_EQ(job.sampling.seed, 3U);
  EXPECT_THAT(job.sampling.stop, testing::ElementsAre("a", "b"));
  EXPECT_EQ(job.chunk, 64U);
  EXPECT_EQ(job.checkpoint, 4096U);
  EXPECT_EQ(job.parallel, 8U);
  EXPECT_EQ(job.kv_dtype, DType::kBF16);
  EXPECT_EQ(job.output_dir, "/o");
  EXPECT_FALSE(job.overwrite);
  EXPECT_TRUE(job.audit);
}

TEST(Job, ShortForms) {
  const JobConfig job = read(
      "model: m\ndocument: {text: 'In the beginning'}\nquestions: Why?\n"
      "sampling: {stop: END}\nchat:\n");
  EXPECT_EQ(job.document.text, "In the beginning");
  EXPECT_EQ(job.questions.at(0).text, "Why?");
  EXPECT_THAT(job.sampling.stop, testing::ElementsAre("END"));
  EXPECT_THAT(read("model: m\ndocument: [a, b]\nquestions: [Why]\n").document.files,
              testing::ElementsAre("here/a", "here/b"));
}

struct Refusal {
  const char* yaml;  // from line 4 of a job that is right otherwise
  const char* text;
};

class JobRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(JobRefuses, WithPlacePathAndWhatWouldBeRight) {
  EXPECT_EQ(job_problems(minimal_job(GetParam().yaml)), std::string("job.yaml:") + GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, JobRefuses,
    testing::Values(
        Refusal{"name: ''", "4:1: name: must not be empty"},
        Refusal{"name: [a]", "4:1: name: must be a text, is a list of 1"},
        Refusal{"prefill:\n  chunk: 0", "5:3: prefill.chunk: must be between 1 and 65536, is 0"},
        Refusal{"prefill: {checkpoint: 4096}",
                "4:1: prefill: checkpoint: can be had with a cache policy that compacts per_chunk, "
                "such as streaming_llm or guided; of others it would be the whole cache"},
        Refusal{"prefill: 5", "4:1: prefill: must be a map (key: value), is 5"},
        Refusal{"decode: {parallel: 0}",
                "4:10: decode.parallel: must be auto or between 1 and 4096, is 0"},
        Refusal{"sampling: {temperature: -1}",
                "4:12: sampling.temperature: must be between 0 and 100, is -1"},
        Refusal{"sampling: {temperature: 101}",
                "4:12: sampling.temperature: must be between 0 and 100, is 101"},
        Refusal{"sampling: {top_k: 1048577}",
                "4:12: sampling.top_k: must be between 0 and 1048576, is 1048577"},
        Refusal{"sampling: {top_p: 0}",
                "4:12: sampling.top_p: must be more than 0 (1 keeps every token)"},
        Refusal{"sampling: {top_p: 1e-60}",
                "4:12: sampling.top_p: must be more than 0 (1 keeps every token)"},
        Refusal{"sampling: {top_p: 1.1}", "4:12: sampling.top_p: must be between 0 and 1, is 1.1"},
        Refusal{"sampling: {min_p: 1}",
                "4:12: sampling.min_p: must be less than 1 (0 keeps every token)"},
        Refusal{"sampling: {max_tokens: 0}",
                "4:12: sampling.max_tokens: must be between 1 and 1048576, is 0"},
        Refusal{"sampling: {seed: -1}",
                "4:12: sampling.seed: must be between 0 and 18446744073709551615, is -1"},
        Refusal{"sampling: {stop: ['']}", "4:19: sampling.stop.0: a stop text must not be empty"},
        Refusal{"sampling: {stop: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
                "4:12: sampling.stop: at most 16 stop texts, are 17"},
        Refusal{"sampling: {stop: {a: b}}", "4:12: sampling.stop: must be a list, is a map of 'a'"},
        Refusal{"sampling: {temp: 1}",
                "4:12: sampling: unknown key 'temp'; did you mean 'temperature'?; known: "
                "temperature, top_k, top_p, min_p, max_tokens, seed, stop"},
        Refusal{"chat: {template: chatmll}",
                "4:8: chat.template: unknown value 'chatmll'; did you mean 'chatml'?; known: auto, "
                "chatml, llama3, mistral, qwen, raw"},
        Refusal{"cache: {polcy: h2o}",
                "4:9: cache: unknown key 'polcy'; did you mean 'policy'?; known: policy, budget, "
                "dtype"},
        Refusal{"cache: {dtype: fp16}",
                "4:9: cache.dtype: unknown value 'fp16'; did you mean 'f16'?; known: f16, bf16, "
                "f32"},
        Refusal{"output: {dir: ''}", "4:10: output.dir: must be a path, is the text ''"},
        Refusal{"output: {overwrite: no}",
                "4:10: output.overwrite: must be true or false, is the text 'no'"},
        Refusal{"questons: [a]",
                "4:1: unknown key 'questons'; did you mean 'questions'?; known: name, model, "
                "document, sampling, questions, chat, prefill, decode, cache, output"}));

struct WholeRefusal {
  const char* yaml;
  const char* text;
};

class JobRequires : public testing::TestWithParam<WholeRefusal> {};

TEST_P(JobRequires, ModelDocumentAndQuestions) {
  EXPECT_EQ(job_problems(GetParam().yaml), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, JobRequires,
    testing::Values(
        WholeRefusal{"name: a",
                     "job.yaml:1:1: model: is required\n"
                     "job.yaml:1:1: document: is required\n"
                     "job.yaml:1:1: questions: is required"},
        WholeRefusal{"model: {}\ndocument: d\nquestions: [a]",
                     "job.yaml:1:1: model.path: is required"},
        WholeRefusal{"model:\ndocument: d\nquestions: [a]",
                     "job.yaml:1:1: model.path: is required"},
        WholeRefusal{"model: [a]\ndocument: d\nquestions: [a]",
                     "job.yaml:1:1: model: must be a path, is a list of 1"},
        WholeRefusal{"model: {file: x}\ndocument: d\nquestions: [a]",
                     "job.yaml:1:1: model.path: is required\n"
                     "job.yaml:1:9: model: unknown key 'file'; known: path"},
        WholeRefusal{"model: m\ndocument:\nquestions: [a]",
                     "job.yaml:2:1: document: must be a path, is empty"},
        WholeRefusal{"model: m\ndocument: []\nquestions: [a]",
                     "job.yaml:2:1: document: must name at least one file"},
        WholeRefusal{"model: m\ndocument: {}\nquestions: [a]",
                     "job.yaml:2:1: document: give either text, or files, glob, or both of them"},
        WholeRefusal{"model: m\ndocument: {text: a, files: [b]}\nquestions: [a]",
                     "job.yaml:2:1: document: give either text, or files, glob, or both of them"},
        WholeRefusal{"model: m\ndocument: {text: ''}\nquestions: [a]",
                     "job.yaml:2:12: document.text: is empty, there is nothing to read"},
        WholeRefusal{"model: m\ndocument: {files: [a, '']}\nquestions: [a]",
                     "job.yaml:2:23: document.files.1: must be a path, is the text ''"},
        WholeRefusal{"model: m\ndocument: {globb: 'x*'}\nquestions: [a]",
                     "job.yaml:2:1: document: give either text, or files, glob, or both of them\n"
                     "job.yaml:2:12: document: unknown key 'globb'; did you mean 'glob'?; known: "
                     "text, files, glob"},
        WholeRefusal{"model: m\ndocument: d\nquestions: []",
                     "job.yaml:3:1: questions: must name at least one question"},
        WholeRefusal{"model: m\ndocument: d\nquestions:",
                     "job.yaml:3:1: questions: must be a text, is empty"},
        WholeRefusal{"model: m\ndocument: d\nquestions: ['  ']",
                     "job.yaml:3:13: questions.0: the question is empty"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [[a]]",
                     "job.yaml:3:13: questions.0: must be a text, is a list of 1"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{id: a}]",
                     "job.yaml:3:13: questions.0: a question needs text, or file"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{text: a, id: ''}]",
                     "job.yaml:3:23: questions.0.id: an id must not be empty"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{text: a, file: b.txt}]",
                     "job.yaml:3:13: questions.0: give either file, or text with id, max_tokens "
                     "and probe"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{text: a, max_tokens: 0}]",
                     "job.yaml:3:23: questions.0.max_tokens: must be between 1 and 1048576, is 0"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{text: a, id: x}, {text: b, id: x}]",
                     "job.yaml:3:31: questions.1: the id 'x' is given twice, first to question 1"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{text: a, id: q2}, b]",
                     "job.yaml:3:32: questions.1: the id 'q2' is given twice, first to question 1"},
        WholeRefusal{
            "model: m\ndocument: d\nquestions: [{file: q.csv}]",
            "job.yaml:3:14: questions.0.file: q.csv: a file of questions ends in .jsonl or "
            ".txt"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{text: a, tokens: 3}]",
                     "job.yaml:3:23: questions.0: unknown key 'tokens'; known: id, text, "
                     "max_tokens, probe, file"},
        WholeRefusal{"model: m\ndocument: d\nquestions: [{text: a, probe: ' '}]",
                     "job.yaml:3:23: questions.0.probe: the probe is empty"}));

TEST(Job, LongIdIsRefused) {
  EXPECT_THAT(job_problems("model: m\ndocument: d\nquestions: [{text: a, id: " +
                           std::string(201, 'i') + "}]"),
              HasSubstr("an id is at most 200 bytes long, 'iiii"));
}

TEST(Job, AllProblemsInOneReport) {
  EXPECT_EQ(job_problems("documnt: d.txt\n"
                         "questions:\n"
                         "  - {text: a, max_tokens: x}\n"
                         "sampling: {temperature: hot, top_q: 1}\n"
                         "cache:\n"
                         "  dtype: q8_0\n"),
            "job.yaml:1:1: model: is required\n"
            "job.yaml:1:1: document: is required\n"
            "job.yaml:1:1: unknown key 'documnt'; did you mean 'document'?; known: name, model, "
            "document, sampling, questions, chat, prefill, decode, cache, output\n"
            "job.yaml:3:15: questions.0.max_tokens: must be a whole number between 1 and 1048576, "
            "is the text 'x'\n"
            "job.yaml:4:12: sampling.temperature: must be a number between 0 and 100, is the text "
            "'hot'\n"
            "job.yaml:4:30: sampling: unknown key 'top_q'; did you mean 'top_k'?; known: "
            "temperature, top_k, top_p, min_p, max_tokens, seed, stop\n"
            "job.yaml:6:3: cache.dtype: unknown value 'q8_0'; known: f16, bf16, f32");
}

TEST(Job, MissingFilesAreInTheSameReport) {
  const TemporaryFolder folder;
  const auto file = folder.write("job.yaml",
                                 "model: m.gguf\n"
                                 "document: [here.txt, gone.txt, sub]\n"
                                 "questions: [{file: q.jsonl}]\n"
                                 "prefill: {chunk: 0}\n");
  folder.write("here.txt", "text");
  folder.write("sub/x.txt", "text");
  const std::string at = file.string();
  const std::string base = folder.path().string();
  try {
    load_job(file);
    FAIL() << "nothing thrown";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_EQ(std::string(error.what()),
              at + ":1:1: model: " + base + "/m.gguf: no such file\n" +  //
                  at + ":2:22: document.1: " + base + "/gone.txt: no such file\n" + at +
                  ":2:32: document.2: " + base + "/sub: is a folder, not a file\n" + at +
                  ":3:14: questions.0.file: " + base + "/q.jsonl: no such file\n" + at +
                  ":4:11: prefill.chunk: must be between 1 and 65536, is 0");
  }
}

TEST(Job, ModelMayBeAFolder) {
  const TemporaryFolder folder;
  folder.write("model/config.json", "{}");
  folder.write("d.txt", "text");
  const auto file = folder.write("job.yaml", "model: model\ndocument: d.txt\nquestions: [a]\n");
  EXPECT_EQ(load_job(file).model, folder.path() / "model");
}

class QuestionFiles : public testing::Test {
 protected:
  std::string problems(const std::string& name, std::string_view text) {
    folder_.write(name, text);
    Problems problems;
    job_ = read_job_text(folder_.path() / "job.yaml",
                         "model: .\ndocument: {text: d}\nquestions: [first, {file: " + name + "}]",
                         {}, problems);
    std::string out = joined(problems);
    // The folder's name is not the test's.
    const std::string base = folder_.path().string() + "/";
    for (std::size_t at = out.find(base); at != std::string::npos; at = out.find(base)) {
      out.erase(at, base.size());
    }
    return out;
  }
  TemporaryFolder folder_;
  JobConfig job_;
};

TEST_F(QuestionFiles, JsonLines) {
  EXPECT_EQ(problems("q.jsonl",
                     "\xef\xbb\xbf{\"id\": \"a\", \"text\": \"A?\", \"max_tokens\": 3}\r\n"
                     "\n"
                     "{\"text\": \"B \\u20ac?\"}\n"
                     "{\"id\": 17, \"text\": \"C?\", \"probe\": \"It is\"}"),
            "");
  ASSERT_EQ(job_.questions.size(), 4U);
  EXPECT_EQ(job_.questions[1].id, "a");
  EXPECT_EQ(job_.questions[1].max_tokens, 3U);
  EXPECT_EQ(job_.questions[2].id, "q3");
  EXPECT_EQ(job_.questions[2].text, "B \xe2\x82\xac?");
  EXPECT_EQ(job_.questions[2].max_tokens, 128U);
  EXPECT_EQ(job_.questions[3].id, "17");
  EXPECT_EQ(job_.questions[2].probe, "");
  EXPECT_EQ(job_.questions[3].probe, "It is");
}

TEST_F(QuestionFiles, TextLines) {
  EXPECT_EQ(problems("q.txt", "one?\n\n  \ntwo?\r\nthree?"), "");
  ASSERT_EQ(job_.questions.size(), 4U);
  EXPECT_EQ(job_.questions[2].text, "two?");
  EXPECT_EQ(job_.questions[3].id, "q4");
}

TEST_F(QuestionFiles, EveryBadLineIsNamed) {
  const std::string at = "job.yaml:3:21: questions.1.file: ";
  EXPECT_EQ(problems("q.jsonl",
                     "not json\n"
                     "[1]\n"
                     "{\"id\": \"a\"}\n"
                     "{\"text\": 5}\n"
                     "{\"text\": \" \"}\n"
                     "{\"text\": \"a\", \"id\": \"q1\"}\n"
                     "{\"text\": \"a\", \"id\": \"\"}\n"
                     "{\"text\": \"a\", \"id\": [1]}\n"
                     "{\"text\": \"a\", \"max_tokens\": 0}\n"
                     "{\"text\": \"a\", \"max_tokens\": -5}\n"
                     "{\"text\": \"a\", \"max_tokens\": 1e3}\n"
                     "{\"text\": \"a\", \"max_token\": 1}\n"
                     "{\"text\": \"\xff\"}\n"
                     "{\"text\": \"a\", \"probe\": 5}\n"
                     "{\"text\": \"a\", \"probe\": \"\"}\n"),
            at + "q.jsonl:1: is not a JSON object {\"id\": ..., \"text\": ...}\n" +      //
                at + "q.jsonl:2: is not a JSON object {\"id\": ..., \"text\": ...}\n" +  //
                at + "q.jsonl:3: text must be a text\n" +                                //
                at + "q.jsonl:4: text must be a text\n" +                                //
                at + "q.jsonl:5: the question is empty\n" +                              //
                at + "q.jsonl:6: the id 'q1' is given twice, first to question 1\n" +    //
                at + "q.jsonl:7: an id must not be empty\n" +                            //
                at + "q.jsonl:8: id must be a text or a whole number\n" +                //
                at + "q.jsonl:9: max_tokens must be between 1 and 1048576\n" +           //
                at + "q.jsonl:10: max_tokens must be between 1 and 1048576\n" +          //
                at + "q.jsonl:11: max_tokens must be between 1 and 1048576\n" +          //
                at +
                "q.jsonl:12: unknown key 'max_token'; did you mean 'max_tokens'?; known: id, "
                "text, max_tokens, probe\n" +
                at + "q.jsonl:13: is not UTF-8 text\n" + at + "q.jsonl:14: probe must be a text\n" +
                at + "q.jsonl:15: the probe is empty");
}

TEST_F(QuestionFiles, DeepJsonIsNoDanger) {
  const std::string deep = std::string(1'000'000, '[');
  EXPECT_THAT(problems("q.jsonl", deep + "\n"), HasSubstr("q.jsonl:1: is not a JSON object"));
  EXPECT_THAT(problems("q.jsonl", "{\"text\": " + deep + std::string(1'000'000, ']') + "}\n"),
              HasSubstr("q.jsonl:1: text must be a text"));
}

TEST_F(QuestionFiles, EmptyAndMissing) {
  EXPECT_EQ(problems("q.txt", "\n \n"),
            "job.yaml:3:21: questions.1.file: q.txt: holds no question");
  EXPECT_EQ(problems("q.csv", "a\n"),
            "job.yaml:3:21: questions.1.file: q.csv: a file of questions ends in .jsonl or .txt");
  folder_.write("dir.txt/x", "");
  Problems problems;
  read_job_text(folder_.path() / "job.yaml",
                "model: .\ndocument: {text: d}\nquestions: [{file: dir.txt}]", {}, problems);
  EXPECT_THAT(joined(problems), HasSubstr("dir.txt: is a folder, not a file"));
}

TEST_F(QuestionFiles, TooManyAreRefusedOnce) {
  std::string lines;
  for (int i = 0; i < 70'000; ++i) lines += "why?\n";
  EXPECT_EQ(problems("q.txt", lines),
            "job.yaml:3:21: questions.1.file: q.txt:65536: more than 65536 questions");
  EXPECT_EQ(job_.questions.size(), 65536U);
}

TEST(Job, ToJsonReadsBackTheSame) {
  const JobConfig job = read(R"(
model: /m
document: {files: [/a, /b], glob: "*.txt"}
questions: [{id: x, text: "X \"?\" \u00fc", max_tokens: 5}, "Y?"]
chat: {template: qwen, system: s}
sampling: {temperature: 0.7, top_p: 0.95, min_p: 0.05, seed: 18446744073709551615, stop: [a]}
output: {dir: /o}
)");
  const std::string text = to_json(job);
  // YAML reads JSON.
  const JobConfig again = read(text);
  EXPECT_EQ(to_json(again), text);
  const nlohmann::json parsed = nlohmann::json::parse(text);
  EXPECT_EQ(parsed["sampling"]["top_p"].dump(), "0.95");
  EXPECT_EQ(parsed["sampling"]["seed"].get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parsed["decode"]["parallel"], "auto");
  EXPECT_EQ(parsed["questions"][0]["text"], "X \"?\" \xc3\xbc");
}

TEST(Job, ToJsonHoldsAnInlineDocument) {
  const std::string text = to_json(read("model: m\ndocument: {text: \"a\\nb\"}\nquestions: [q]\n"));
  EXPECT_EQ(nlohmann::json::parse(text)["document"].dump(), "{\"text\":\"a\\nb\"}");
}

TEST(Job, ToJsonReplacesBytesThatAreNotText) {
  JobConfig job = read(minimal_job());
  job.model = "\xff";
  EXPECT_EQ(nlohmann::json::parse(to_json(job))["model"]["path"], "\xef\xbf\xbd");
}

TEST(Validate, ReportsBothFiles) {
  const TemporaryFolder folder;
  const auto job =
      folder.write("job.yaml", "model: .\ndocument: {text: a}\nquestions: [a]\nx: 1\n");
  const auto cluster = folder.write("cluster.yaml", "rank: 2\n");
  const std::vector<std::string> lines =
      validate_files(job, cluster, {{"prefill.chunk=0"}, {"threads=0"}});
  EXPECT_THAT(lines,
              testing::ElementsAre(
                  testing::StartsWith(job.string() + ":4:1: unknown key 'x'"),
                  testing::StartsWith("--set 'prefill.chunk=0': prefill.chunk: must be between"),
                  testing::StartsWith(cluster.string() + ":1:1: unknown key 'rank'; did you mean"),
                  testing::StartsWith("--set 'threads=0': threads: must be auto or between")));
  EXPECT_THAT(validate_files(job, std::nullopt, {{}, {"backend=gpu"}}), testing::SizeIs(2));
}

TEST(Validate, HasNothingToSayOfGoodFiles) {
  const TemporaryFolder folder;
  const auto job = folder.write("job.yaml", "model: .\ndocument: {text: a}\nquestions: [a]\n");
  EXPECT_THAT(validate_files(job, folder.write("c.yaml", "threads: 2\n"), {}), testing::IsEmpty());
  EXPECT_THAT(validate_files(job, std::nullopt, {}), testing::IsEmpty());
}

}  // namespace
}  // namespace varve
