// Regular expressions as tokenizer.json writes them: Oniguruma's syntax with Unicode classes, run
// by PCRE2 (compiled to machine code where the CPU allows).
//
// The two libraries are made to agree where they differ:
// - \s is Unicode White_Space, and \w is Alphabetic, marks, decimal digits and connectors.
// - \p{L} and \p{N} include the letters and numbers of Unicode 15 and 16, which Debian's PCRE2
//   10.42 (Unicode 14) does not know. Other properties are those of PCRE2's Unicode.
// - What means something else to Oniguruma than to PCRE2 (\h, nested classes, &&) is refused.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace varve {

/// Immutable and thread-safe once built.
class Regex {
 public:
  /// IoError "WHERE: the regular expression '...' ...: why" for a pattern that does not compile.
  /// `where` is the file and the place in it, also for messages of later matches.
  Regex(std::string_view pattern, std::string where);
  ~Regex();
  Regex(Regex&& other) noexcept;
  Regex& operator=(Regex&& other) noexcept;

  struct Match {
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  /// Walks over the matches in texts; holds the scratch memory of one thread.
  class Matcher {
   public:
    explicit Matcher(const Regex& regex);
    ~Matcher();
    Matcher(Matcher&&) noexcept;

    /// Starts over in `text`, which must be valid UTF-8 and outlive the walk.
    void set_text(std::string_view text);
    /// The next match, from left to right; an empty one is skipped where the last match ended.
    /// IoError if the pattern needs more steps or memory than a sane one does.
    std::optional<Match> next();

   private:
    struct Scratch;
    std::optional<Match> match_from(std::size_t start);

    const Regex* regex_;
    std::unique_ptr<Scratch> scratch_;
    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<std::size_t> last_end_;
  };

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  std::string pattern_;
  std::string where_;
};

/// `pattern` in PCRE2's syntax (see above). IoError for what it cannot say. `where` as above.
std::string to_pcre2(std::string_view pattern, const std::string& where);

}  // namespace varve
