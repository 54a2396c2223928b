#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "common/io/mapped_file.h"
#include "common/io/regular_file.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/io_error.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(MappedFile, HoldsTheBytesOfTheFile) {
  const TempFolder folder;
  write_file(folder / "f", as_bytes("some bytes"));
  const MappedFile file(folder / "f");
  EXPECT_EQ(as_text(file.bytes()), "some bytes");
}

TEST(MappedFile, OutlivesTheNameAndMoves) {
  const TempFolder folder;
  write_file(folder / "a", as_bytes("first"));
  write_file(folder / "b", as_bytes("second"));
  MappedFile file(folder / "a");
  std::filesystem::remove(folder / "a");
  MappedFile moved(std::move(file));
  EXPECT_EQ(as_text(moved.bytes()), "first");
  moved = MappedFile(folder / "b");
  EXPECT_EQ(as_text(moved.bytes()), "second");
}

TEST(MappedFile, AdviceKeepsTheBytes) {
  const TempFolder folder;
  const std::string text(3 * 4096 + 17, 'x');
  write_file(folder / "f", as_bytes(text));
  const MappedFile file(folder / "f");
  using enum MappedFile::Access;
  for (const auto access : {kSequential, kRandom, kWillNeed, kDontNeed}) {
    file.advise(access, file.bytes().subspan(5000, 4000));
    file.advise(access, file.bytes().subspan(0, 0));
    EXPECT_EQ(as_text(file.bytes()), text);
  }
  const std::byte elsewhere{};
  EXPECT_THROW(file.advise(kRandom, std::span(&elsewhere, 1)), std::logic_error);
}

TEST(MappedFile, KnowsItsOwnBytes) {
  const TempFolder folder;
  write_file(folder / "f", as_bytes("abc"));
  const MappedFile file(folder / "f");
  EXPECT_TRUE(file.holds(file.bytes().data()));
  EXPECT_TRUE(file.holds(file.bytes().data() + 2));
  EXPECT_FALSE(file.holds(file.bytes().data() + 3));
  EXPECT_FALSE(file.holds(&folder));
}

TEST(MappedFile, SaysWhyAFileCannotBeRead) {
  const TempFolder folder;
  const std::string base = folder.path().string();
  write_file(folder / "empty", {});
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const auto message = [&](const char* name) {
    return io_error([&] { MappedFile file(folder / name); });
  };
  EXPECT_EQ(message("none"), base + "/none: no such file");
  EXPECT_EQ(message("empty"), base + "/empty: is empty");
  EXPECT_EQ(message("pipe"), base + "/pipe: is a pipe, not a file");
  EXPECT_EQ(message("."), base + "/.: is a folder, not a file");
}

TEST(MappedFile, KnowsThatTheFileWasChanged) {
  const TempFolder folder;
  write_file(folder / "f", as_bytes("12345"));
  const MappedFile file(folder / "f");
  EXPECT_NO_THROW(file.check_unchanged());
  // Another file of the same name is no change of this one.
  write_file(folder / "g", as_bytes("1"));
  std::filesystem::rename(folder / "f", folder / "old");
  std::filesystem::rename(folder / "g", folder / "f");
  EXPECT_NO_THROW(file.check_unchanged());
  std::filesystem::resize_file(folder / "old", 3);
  EXPECT_EQ(
      io_error([&] { file.check_unchanged(); }),
      (folder / "f").string() +
          ": was changed while it was in use, it had 5 bytes and has 3; it must stay as it is");
}

TEST(MappedFile, SaysThatLinksAreCyclic) {
  const TempFolder folder;
  std::filesystem::create_symlink("b", folder / "a");
  std::filesystem::create_symlink("a", folder / "b");
  EXPECT_EQ(io_error([&] { MappedFile file(folder / "a"); }),
            (folder / "a").string() + ": cannot be opened: Too many levels of symbolic links");
}

TEST(MappedFile, SaysThatAFileIsForbidden) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const TempFolder folder;
  write_file(folder / "secret", as_bytes("x"));
  ASSERT_EQ(::chmod((folder / "secret").c_str(), 0), 0);
  EXPECT_THAT(io_error([&] { MappedFile file(folder / "secret"); }),
              HasSubstr("secret: cannot be opened: Permission denied"));
}

TEST(ReadTextFile, ReadsUpToTheLimit) {
  const TempFolder folder;
  write_file(folder / "f", as_bytes("12345"));
  write_file(folder / "empty", {});
  EXPECT_EQ(read_text_file(folder / "f", 5), "12345");
  EXPECT_EQ(read_text_file(folder / "empty", 5), "");
  EXPECT_EQ(io_error([&] { read_text_file(folder / "f", 4); }),
            (folder / "f").string() + ": is larger than 4 B");
}

TEST(ReadTextFile, ReadsFilesThatReportNoSize) {
  // Files of /proc have size 0 until they are read.
  EXPECT_THAT(read_text_file("/proc/self/status", 1 << 20), StartsWith("Name:"));
  EXPECT_THAT(io_error([&] { read_text_file("/proc/self/status", 10); }),
              HasSubstr("is larger than 10 B"));
}

TEST(WhyUnreadable, IsWhatOpeningWouldThrow) {
  const TempFolder folder;
  write_file(folder / "f", {});
  EXPECT_EQ(why_unreadable(folder / "f"), "");
  EXPECT_EQ(why_unreadable(folder / "none"), (folder / "none").string() + ": no such file");
  EXPECT_EQ(why_unreadable("/dev/zero"), "/dev/zero: is a device, not a file");
}

}  // namespace
}  // namespace varve
