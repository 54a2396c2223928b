#include "common/text/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "common/error.h"
#include "common/text/unicode_versions.h"
#include "common/utf8.h"

namespace varve {
namespace {

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

std::string replace(const Pattern& pattern, std::string_view text, std::string_view content) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  pattern.for_each_span(text, [&](std::size_t begin, std::size_t end, bool matches) {
    out += matches ? content : text.substr(begin, end - begin);
  });
  return out;
}

// Normalization form C by the tables of utf8proc.
void append_composed(std::string_view text, std::string& out) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &result, kOptions);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  VARVE_CHECK(size >= 0, "utf8proc: {} on {} bytes", utf8proc_errmsg(size), text.size());
  out.append(reinterpret_cast<const char*>(result), static_cast<std::size_t>(size));
}

}  // namespace

std::string to_nfc(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_utf8(text, at);
    if (is_unordered_mark(point.value)) {
      append_composed(text.substr(done, at - done), out);
      out.append(text, at, point.length);
      done = at + point.length;
    }
    at += point.length;
  }
  append_composed(text.substr(done), out);
  return out;
}

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps, const std::string& where) {
  for (const NormalizerStep& step : steps) {
    if (const auto* replace_step = std::get_if<ReplaceStep>(&step)) {
      steps_.push_back(Replace{Pattern(replace_step->pattern, where), replace_step->content});
    } else if (const auto* prepend = std::get_if<PrependStep>(&step)) {
      steps_.push_back(*prepend);
    } else {
      steps_.push_back(NfcStep{});
    }
  }
}

std::string Normalizer::apply(std::string_view text, bool continues) const {
  std::string out(text);
  for (const Step& step : steps_) {
    if (const auto* replace_step = std::get_if<Replace>(&step)) {
      out = replace(replace_step->pattern, out, replace_step->content);
    } else if (const auto* prepend = std::get_if<PrependStep>(&step)) {
      if (!out.empty() && !continues) out.insert(0, prepend->text);
    } else {
      out = to_nfc(out);
    }
  }
  return out;
}

}  // namespace varve
