// A tokenizer.json is read and checked, or refused with an IoError; what is read then encodes text
// of all kinds (the file itself, too) and decodes it to valid UTF-8. Whatever else happens is a
// finding.
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/error.h"
#include "common/text/tokenizer.h"
#include "common/text/tokenizer_json.h"
#include "common/utf8.h"

namespace varve {
namespace {

constexpr std::string_view kText =
    "It's 1999,\n\n  abc \xC3\xA9\xCC\x81 \xE4\xB8\xAD\xF0\x9F\xA6\x99 <s> \xFF\xE2\x82 \t\r\n ";
constexpr std::size_t kMostOwnBytes = 256;

void round_trip(const Tokenizer& tokenizer, std::string_view text, bool parse_special) {
  EncodeOptions options;
  options.parse_special = parse_special;
  const auto ids = tokenizer.encode(text, options);
  std::string streamed;
  IncrementalDecoder decoder(tokenizer, true);
  for (const TokenId id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.size()) {
      throw std::logic_error("an id that the vocabulary lacks");
    }
    streamed += decoder.add(id);
  }
  streamed += decoder.flush();
  if (!is_valid_utf8(streamed)) throw std::logic_error("decoded to invalid UTF-8");
  if (streamed != tokenizer.decode(ids, true)) throw std::logic_error("decoders disagree");
}

void read(std::string_view json) {
  const Tokenizer tokenizer(parse_tokenizer_json(json, "input"));
  for (const bool parse_special : {false, true}) {
    round_trip(tokenizer, kText, parse_special);
    round_trip(tokenizer, json.substr(0, kMostOwnBytes), parse_special);
  }
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    varve::read({reinterpret_cast<const char*>(data), size});
  } catch (const varve::IoError&) {
  }
  return 0;
}
