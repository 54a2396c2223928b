#define PCRE2_CODE_UNIT_WIDTH 8
#include "common/text/regex.h"

#include <pcre2.h>

#include <array>

#include "common/error.h"
#include "common/in_quotes.h"
#include "common/utf8.h"

namespace varve {
namespace {

constexpr std::size_t kMaxPatternBytes = 10000;  // the longest known one has about 300
constexpr std::size_t kJitStackBytes = std::size_t{4} << 20;
// Steps that one match may take: a run of spaces takes a few for each, a pattern that explores all
// ways to split a word takes 2^length.
constexpr std::uint32_t kBaseSteps = 10'000;
constexpr std::size_t kStepsPerByte = 16;
constexpr std::uint32_t kHeapKibibytes = 256 * 1024;

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

[[noreturn]] void fail(const std::string& where, std::string_view pattern, std::string_view why) {
  throw IoError(fmt::format("{}: the regular expression {} {}", where, in_quotes(pattern), why));
}

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack_free>>;
using CompiledCode = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;

CompiledCode compile(std::string_view pattern, const std::string& where) {
  if (pattern.size() > kMaxPatternBytes) {
    fail(where, pattern,
         fmt::format("has {} bytes; varve takes {}", pattern.size(), kMaxPatternBytes));
  }
  const std::string translated = to_pcre2(pattern, where);
  const CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t offset = 0;
  CompiledCode code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                  translated.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                  &error, &offset, context.get()));
  if (!code) fail(where, pattern, "is not one: " + message_of(error));
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without it matches are slower, not wrong
  return code;
}

}  // namespace

struct Regex::Code {
  CompiledCode compiled;
};

Regex::Regex(std::string_view pattern, std::string where)
    : code_(std::make_unique<Code>(Code{compile(pattern, where)})),
      pattern_(pattern),
      where_(std::move(where)) {}
Regex::~Regex() = default;
Regex::Regex(Regex&& other) noexcept = default;
Regex& Regex::operator=(Regex&& other) noexcept = default;

struct Regex::Matcher::Scratch {
  MatchContext context{pcre2_match_context_create(nullptr)};
  MatchData data;
  JitStack stack;  // once a match needs more than the 32 KiB that come with the machine stack
};

Regex::Matcher::Matcher(const Regex& regex)
    : regex_(&regex), scratch_(std::make_unique<Scratch>()) {
  scratch_->data.reset(pcre2_match_data_create_from_pattern(regex.code_->compiled.get(), nullptr));
  pcre2_set_heap_limit(scratch_->context.get(), kHeapKibibytes);
}
Regex::Matcher::~Matcher() = default;
Regex::Matcher::Matcher(Matcher&&) noexcept = default;

void Regex::Matcher::set_text(std::string_view text) {
  text_ = text;
  at_ = 0;
  last_end_.reset();
  const std::size_t steps = kBaseSteps + kStepsPerByte * text.size();
  pcre2_set_match_limit(scratch_->context.get(),
                        static_cast<std::uint32_t>(std::min<std::size_t>(steps, UINT32_MAX)));
}

std::optional<Regex::Match> Regex::Matcher::match_from(std::size_t start) {
  const auto run = [&](std::uint32_t options) {
    return pcre2_match(regex_->code_->compiled.get(), reinterpret_cast<PCRE2_SPTR>(text_.data()),
                       text_.size(), start, options | PCRE2_NO_UTF_CHECK, scratch_->data.get(),
                       scratch_->context.get());
  };
  int result = run(0);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT && !scratch_->stack) {
    scratch_->stack.reset(pcre2_jit_stack_create(kJitStackBytes, kJitStackBytes, nullptr));
    pcre2_jit_stack_assign(scratch_->context.get(), nullptr, scratch_->stack.get());
    result = run(0);
  }
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_JIT);
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (result < 0) {
    fail(regex_->where_, regex_->pattern_,
         fmt::format("gave up at byte {} of a text of {} bytes: {}", start, text_.size(),
                     message_of(result)));
  }
  const std::size_t* bounds = pcre2_get_ovector_pointer(scratch_->data.get());
  // \K in a lookahead can put the start behind the end.
  return Match{std::min(bounds[0], bounds[1]), bounds[1]};
}

std::optional<Regex::Match> Regex::Matcher::next() {
  while (at_ <= text_.size()) {
    const std::optional<Match> match = match_from(at_);
    if (!match) break;
    if (match->begin == match->end && last_end_ == match->end) {
      at_ = match->end + (match->end < text_.size() ? decode_utf8(text_, match->end).length : 1);
      continue;
    }
    at_ = match->end;
    last_end_ = match->end;
    return match;
  }
  at_ = text_.size() + 1;
  return std::nullopt;
}

}  // namespace varve
