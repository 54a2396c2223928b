#include "common/config/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/error.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DocumentTest : public testing::Test {
 protected:
  /// A job in the folder whose `document:` is `yaml`.
  JobConfig job(const std::string& yaml) {
    const auto file =
        folder_.write("job.yaml", "model: .\nquestions: [a]\ndocument: " + yaml + "\n");
    return load_job(file);
  }
  std::string refusal(const std::string& yaml) {
    try {
      job(yaml);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }
  std::vector<std::string> names(const Document& document) {
    std::vector<std::string> out;
    for (const auto& part : document.parts) {
      out.push_back(fmt::format("{}@{}", part.file.filename().string(), part.offset));
    }
    return out;
  }
  TemporaryFolder folder_;
};

TEST_F(DocumentTest, OneFileByteForByte) {
  const std::string bytes("a\0\xc3\xa9\r\nb", 7);
  folder_.write("a.txt", bytes);
  const Document document = load_document(job("a.txt"));
  EXPECT_EQ(document.text, bytes);
  EXPECT_THAT(names(document), ElementsAre("a.txt@0"));
}

TEST_F(DocumentTest, FilesInTheirOrderEachOnItsOwnLine) {
  folder_.write("a.txt", "one");
  folder_.write("b.txt", "two\n");
  folder_.write("c.txt", "three");
  const Document document = load_document(job("[c.txt, b.txt, a.txt]"));
  EXPECT_EQ(document.text, "three\ntwo\none");
  EXPECT_THAT(names(document), ElementsAre("c.txt@0", "b.txt@6", "a.txt@10"));
}

TEST_F(DocumentTest, FilesThenGlobSortedAsBytes) {
  for (const char* name : {"p/10.txt", "p/9.txt", "p/B.txt", "p/a.txt", "p/x.md", "first"}) {
    folder_.write(name, std::string(name) + "\n");
  }
  std::filesystem::create_directory(folder_.path() / "p/dir.txt");
  const Document document = load_document(job("{files: [first], glob: 'p/*.txt'}"));
  EXPECT_EQ(document.text, "first\np/10.txt\np/9.txt\np/B.txt\np/a.txt\n");
  EXPECT_THAT(names(document),
              ElementsAre("first@0", "10.txt@6", "9.txt@15", "B.txt@23", "a.txt@31"));
}

TEST_F(DocumentTest, TheFoldersNameIsNoPattern) {
  folder_.write("odd [a]*?/x.txt", "found");
  const auto file =
      folder_.write("odd [a]*?/job.yaml", "model: .\nquestions: [a]\ndocument: {glob: '*.txt'}\n");
  EXPECT_EQ(load_document(load_job(file)).text, "found");
}

TEST_F(DocumentTest, AbsoluteGlob) {
  folder_.write("sub/x.txt", "found");
  EXPECT_EQ(load_document(job("{glob: '" + folder_.path().string() + "/s?b/[x].txt'}")).text,
            "found");
}

TEST_F(DocumentTest, InlineText) {
  const Document document = load_document(job("{text: \"In the\\nbeginning\"}"));
  EXPECT_EQ(document.text, "In the\nbeginning");
  EXPECT_THAT(names(document), ElementsAre("@0"));
}

TEST_F(DocumentTest, Refusals) {
  folder_.write("empty.txt", "");
  std::filesystem::create_directory(folder_.path() / "dir");
  ASSERT_EQ(::mkfifo((folder_.path() / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal("gone.txt"), HasSubstr("job.yaml:3:1: document: "));
  EXPECT_THAT(refusal("gone.txt"), HasSubstr("gone.txt: no such file"));
  EXPECT_THAT(refusal("dir"), HasSubstr("dir: is a folder, not a file"));
  EXPECT_THAT(refusal("pipe"), HasSubstr("pipe: is a pipe, not a file"));
  EXPECT_THAT(refusal("empty.txt/x"), HasSubstr("x: cannot be opened: Not a directory"));
  EXPECT_THAT(refusal("[empty.txt, empty.txt]"),
              HasSubstr("document: is empty, there is nothing to read"));
  EXPECT_THAT(refusal("{glob: 'no*.txt'}"),
              HasSubstr("job.yaml:3:12: document.glob: 'no*.txt' matches no file"));
  EXPECT_THAT(refusal("{glob: 'dir*'}"), HasSubstr("document.glob: 'dir*' matches no file"));
  EXPECT_THAT(refusal("{glob: ''}"), HasSubstr("document.glob: must be a path, is the text ''"));
}

TEST_F(DocumentTest, WhatChangesAfterTheCheckIsSeenWhenLoading) {
  const auto text = folder_.write("a.txt", "text");
  const JobConfig one = job("a.txt");
  const JobConfig matched = job("{glob: 'a.*'}");
  folder_.write("a.txt", "");
  EXPECT_THAT([&] { load_document(one); },
              testing::ThrowsMessage<ConfigError>("document: is empty, there is nothing to read"));
  std::filesystem::remove(text);
  EXPECT_THAT([&] { load_document(one); },
              testing::ThrowsMessage<IoError>(text.string() + ": no such file"));
  EXPECT_THAT([&] { load_document(matched); },
              testing::ThrowsMessage<ConfigError>("document: 'a.*' matches no file"));
}

TEST_F(DocumentTest, AFileThatIsNotUtf8IsNamedWithItsFirstWrongByte) {
  folder_.write("good.txt",
                "Gr\xc3\xbc\xc3\x9f"
                "e\n");
  const auto file = folder_.write("latin1.txt", "one\ntwo caf\xe9\n");
  EXPECT_THAT([&] { load_document(job("[good.txt, latin1.txt]")); },
              testing::ThrowsMessage<IoError>(
                  file.string() +
                  ":2: is not UTF-8 text: byte 11 is 0xe9; convert the file, for example with "
                  "iconv -f latin1 -t utf-8"));
}

TEST_F(DocumentTest, TooMuchTextIsRefusedBeforeItIsRead) {
  folder_.write("small.txt", "x");
  // Sparse: takes no room on the disk.
  const auto file = folder_.write("huge.txt", "x");
  const std::string message = file.string() + ": makes the document larger than 1 GiB";
  std::filesystem::resize_file(file, std::uintmax_t{1} << 30);
  EXPECT_THAT([&] { load_document(job("[small.txt, huge.txt]")); },
              testing::ThrowsMessage<IoError>(message));
  std::filesystem::resize_file(file, (std::uintmax_t{1} << 30) + 1);
  EXPECT_THAT([&] { load_document(job("huge.txt")); }, testing::ThrowsMessage<IoError>(message));
}

}  // namespace
}  // namespace varve
