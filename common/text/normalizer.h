// What is done to a text before it is split into words.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/text/pattern.h"
#include "common/text/tokenizer_spec.h"

namespace varve {

/// Immutable and thread-safe once built.
class Normalizer {
 public:
  /// IoError for a pattern that does not compile; `where` names the file.
  Normalizer(const std::vector<NormalizerStep>& steps, const std::string& where);

  bool empty() const { return steps_.empty(); }
  /// `text` must be valid UTF-8. A text that `continues` another gets nothing put in front.
  std::string apply(std::string_view text, bool continues) const;

 private:
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  using Step = std::variant<NfcStep, PrependStep, Replace>;

  std::vector<Step> steps_;
};

/// Normalization form C (UAX #15), as `tokenizers` has it (unicode_versions.h). `text` must be
/// valid UTF-8.
std::string to_nfc(std::string_view text);

}  // namespace varve
