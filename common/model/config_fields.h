// Hyperparameters out of GGUF metadata and out of config.json, by one set of rules: typed, bounded,
// and every problem of a file in one report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/model/model_config.h"

namespace varve {

/// What a file says under a key. `value` is absent if nothing stands there or if it is of another
/// kind; then `text` says what it is ("string 'x'").
template <class T>
struct Found {
  bool present = false;
  std::optional<T> value;
  std::string text;
};

/// Looks keys up; null counts as absent.
class FieldSource {
 public:
  virtual ~FieldSource() = default;
  virtual Found<std::uint64_t> u64(std::string_view key) const = 0;
  virtual Found<double> f64(std::string_view key) const = 0;
  virtual Found<bool> boolean(std::string_view key) const = 0;
  virtual Found<std::string> string(std::string_view key) const = 0;
};

/// Collects what is wrong with one file.
class ConfigReport {
 public:
  explicit ConfigReport(std::string path) : path_(std::move(path)) {}

  void add(std::string_view key, std::string_view problem);
  /// IoError with the path and all problems, or nothing if there are none.
  void throw_if_any() const;

 private:
  std::string path_;
  std::vector<std::string> problems_;
};

/// Reads fields and reports what is missing, of the wrong kind, or out of range. What it returns
/// after a report is 0 or absent, which check_relations() leaves alone.
class FieldReader {
 public:
  /// `prefix` stands before each key in messages only: "rope_scaling.".
  FieldReader(const FieldSource& source, ConfigReport& report, std::string prefix = "")
      : source_(source), report_(report), prefix_(std::move(prefix)) {}

  /// 1 to `most`. Without a fallback the key must be there; a fallback of 0 stands for "unknown".
  std::size_t size(std::string_view key, std::size_t most,
                   std::optional<std::size_t> fallback = std::nullopt);
  /// 0 (as absent) to `most`.
  std::optional<std::size_t> optional_size(std::string_view key, std::size_t most);
  /// Finite, above 0, at most `most`.
  double positive(std::string_view key, double most, std::optional<double> fallback = std::nullopt);
  std::optional<bool> boolean(std::string_view key);
  std::optional<std::string> string(std::string_view key);
  void report(std::string_view key, std::string_view problem);

 private:
  template <class T>
  std::optional<T> take(const Found<T>& found, std::string_view key, std::string_view wanted,
                        bool required);

  const FieldSource& source_;
  ConfigReport& report_;
  std::string prefix_;
};

/// Upper limits: far above every model, and low enough that products of a few of them fit 64 bits.
namespace config_limits {
inline constexpr std::size_t kLayers = 10'000;
inline constexpr std::size_t kWidth = std::size_t{1} << 24;
inline constexpr std::size_t kHeads = std::size_t{1} << 16;
inline constexpr std::size_t kHeadDim = std::size_t{1} << 13;
inline constexpr std::size_t kVocab = std::size_t{1} << 24;    // token ids are 32-bit
inline constexpr std::size_t kContext = std::size_t{1} << 30;  // positions are 32-bit
inline constexpr double kNormEps = 1.0;
inline constexpr double kRopeTheta = 1e30;
}  // namespace config_limits

/// What a source calls the fields that are checked against each other.
struct ConfigKeys {
  std::string hidden;
  std::string q_heads;
  std::string kv_heads;
  std::string head_dim;
  std::string rope_dims;
  std::string rope_factors;
};

/// Divisibility and order among fields that were read without a report.
void check_relations(const ModelConfig& config, const ConfigKeys& keys, ConfigReport& report);

}  // namespace varve
