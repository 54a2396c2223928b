#include "tests/cuda_on_cpu/emulator/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace varve::emulator {
namespace {

constexpr std::string_view kRandomPrefix = "random:";

[[noreturn]] void reject(std::string_view text) {
  throw std::invalid_argument(fmt::format(
      "a schedule is forward, reverse or random:SEED, then nothing, ,early or ,late; not \"{}\"",
      text));
}

Copies parse_copies(std::string_view rest, std::string_view text) {
  if (rest.empty() || rest == ",early") return Copies::kEarly;
  if (rest == ",late") return Copies::kLate;
  reject(text);
}

std::uint64_t parse_seed(std::string_view digits, std::string_view text) {
  std::uint64_t seed = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, seed);
  if (error != std::errc{} || stop != end) reject(text);
  return seed;
}

Schedule from_environment() {
  const char* text = std::getenv("VARVE_CUDA_SCHEDULE");
  return text == nullptr ? Schedule{} : parse_schedule(text);
}

// Of the process, as the environment variable is: launches come from code that knows no emulator.
struct Current {
  std::mutex mutex;
  std::optional<Schedule> value;
};

Current& current() {
  static Current current;
  return current;
}

}  // namespace

Schedule parse_schedule(std::string_view text) {
  const std::size_t comma = std::min(text.find(','), text.size());
  const std::string_view order = text.substr(0, comma);
  const Copies copies = parse_copies(text.substr(comma), text);
  if (order == "forward") return {Order::kForward, 0, copies};
  if (order == "reverse") return {Order::kReverse, 0, copies};
  if (!order.starts_with(kRandomPrefix)) reject(text);
  return {Order::kRandom, parse_seed(order.substr(kRandomPrefix.size()), text), copies};
}

std::string to_string(const Schedule& schedule) {
  std::string order = "forward";
  if (schedule.order == Order::kReverse) order = "reverse";
  if (schedule.order == Order::kRandom) order = fmt::format("{}{}", kRandomPrefix, schedule.seed);
  return order + (schedule.copies == Copies::kLate ? ",late" : ",early");
}

void set_schedule(const Schedule& schedule) {
  const std::lock_guard lock(current().mutex);
  current().value = schedule;
}

BlockOrder::BlockOrder(Order order, std::uint64_t blocks, Random& random) : blocks_(blocks) {
  if (order == Order::kForward || blocks < 2) return;
  step_ = blocks - 1;
  first_ = blocks - 1;
  if (order == Order::kReverse) return;
  first_ = random.next() % blocks;
  do {
    step_ = 1 + random.next() % (blocks - 1);
  } while (std::gcd(step_, blocks) != 1);
}

Schedule schedule() {
  const std::lock_guard lock(current().mutex);
  if (!current().value) current().value = from_environment();
  return *current().value;
}

}  // namespace varve::emulator
