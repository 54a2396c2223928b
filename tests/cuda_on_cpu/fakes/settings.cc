#include "tests/cuda_on_cpu/fakes/settings.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>

namespace varve::fakes {
namespace {

using Lookup = std::function<const char*(const char*)>;

[[noreturn]] void refuse(const char* variable, std::string_view value, const char* wanted) {
  throw std::invalid_argument(std::string(variable) + "=" + std::string(value) + ": " + wanted);
}

template <class Number>
Number parse(const char* variable, std::string_view text, const char* wanted) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) refuse(variable, text, wanted);
  return number;
}

void read_order(std::string_view text, Settings& settings) {
  constexpr const char* kVariable = "VARVE_FAKE_ORDER";
  constexpr const char* kWanted = "eager, lazy, contrary or random:SEED";
  constexpr std::string_view kRandom = "random:";
  if (text == "eager") {
    settings.order = Order::kEager;
  } else if (text == "lazy") {
    settings.order = Order::kLazy;
  } else if (text == "contrary") {
    settings.order = Order::kContrary;
  } else if (text.substr(0, kRandom.size()) == kRandom) {
    settings.order = Order::kRandom;
    const std::string_view seed = text.substr(kRandom.size());
    const auto [end, error] =
        std::from_chars(seed.data(), seed.data() + seed.size(), settings.seed);
    if (error != std::errc{} || end != seed.data() + seed.size()) refuse(kVariable, text, kWanted);
  } else {
    refuse(kVariable, text, kWanted);
  }
}

std::vector<int> every_device(std::string_view text) {
  constexpr const char* kVariable = "VARVE_FAKE_DEVICES";
  constexpr const char* kWanted = "a number from 0 to 16";
  const int count = parse<int>(kVariable, text, kWanted);
  if (count < 0 || count > 16) refuse(kVariable, text, kWanted);
  std::vector<int> devices(static_cast<std::size_t>(count));
  std::iota(devices.begin(), devices.end(), 0);
  return devices;
}

// As CUDA does: what follows the first number that names no device is not seen.
std::vector<int> visible(std::string_view text, const std::vector<int>& devices) {
  std::vector<int> seen;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const auto number = parse<int>("CUDA_VISIBLE_DEVICES", text.substr(0, comma), "numbers");
    if (number < 0 || static_cast<std::size_t>(number) >= devices.size()) break;
    seen.push_back(number);
    text = comma == text.npos ? std::string_view{} : text.substr(comma + 1);
  }
  return seen;
}

}  // namespace

Settings settings_from_environment(const Lookup& lookup) {
  const auto value = [&lookup](const char* name) { return lookup ? lookup(name) : getenv(name); };
  Settings settings;
  if (const char* text = value("VARVE_FAKE_ORDER")) read_order(text, settings);
  if (const char* text = value("VARVE_FAKE_DEVICES")) settings.devices = every_device(text);
  if (const char* text = value("CUDA_VISIBLE_DEVICES")) {
    settings.devices = visible(text, settings.devices);
  }
  if (const char* text = value("VARVE_FAKE_MEMORY")) {
    settings.memory = parse<std::size_t>("VARVE_FAKE_MEMORY", text, "a number of bytes");
  }
  if (const char* text = value("VARVE_FAKE_DEADLINE")) {
    constexpr const char* kWanted = "seconds, more than 0";
    const auto seconds = parse<double>("VARVE_FAKE_DEADLINE", text, kWanted);
    if (!(seconds > 0)) refuse("VARVE_FAKE_DEADLINE", text, kWanted);
    settings.deadline = std::chrono::milliseconds(std::llround(seconds * 1000));
  }
  return settings;
}

}  // namespace varve::fakes
