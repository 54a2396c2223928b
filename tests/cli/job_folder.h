// A folder with a job, and what the program says of it.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <string_view>

#include "tests/cli/program.h"
#include "tests/cli/small_model.h"
#include "tests/support/temp_folder.h"

namespace varve {

/// A job that runs with a small model; a test changes what it is about.
class JobFolder : public testing::Test {
 protected:
  JobFolder() {
    small_model().write(folder_ / "m.gguf");
    write("d.txt", "In the beginning.\n");
    write_job("");
  }

  std::string path(std::string_view name) const { return (folder_ / name).string(); }
  void write(std::string_view name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  /// job.yaml with `lines` from line 6 on; keys in them must not be those of the job.
  void write_job(std::string_view lines) const {
    write("job.yaml",
          "model: m.gguf\ndocument: d.txt\nquestions: [What]\nchat: {template: raw}\n"
          "output: {dir: out}\n" +
              std::string(lines) + "\n");
  }

  /// `verb` on job.yaml, with one thread a rank: nothing is said of cores then. In what it prints,
  /// the folder's own name is left out.
  Ended run(const std::string& verb, const std::string& more = "",
            const std::string& before = "") const {
    Ended ended = run_varve(verb + " " + path("job.yaml") + " --threads 1 " + more, before);
    for (std::string* text : {&ended.out, &ended.err}) strip(*text);
    return ended;
  }

  TempFolder folder_;

 private:
  void strip(std::string& text) const {
    const std::string name = folder_.path().string() + "/";
    for (auto at = text.find(name); at != text.npos; at = text.find(name)) {
      text.erase(at, name.size());
    }
  }
};

}  // namespace varve
