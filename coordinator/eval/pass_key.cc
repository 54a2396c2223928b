// A number hidden in the text, as in "Landmark Attention" (arXiv 2305.16300); here the key is that
// of a city, so that a document may have several.
#include <array>
#include <set>

#include "common/error.h"
#include "coordinator/eval/task.h"

namespace varve {
namespace {

constexpr std::array<std::string_view, kCities> kNames = {
    "Berlin",  "Paris",    "Madrid", "Lisbon",   "Vienna", "Prague",   "Warsaw", "Dublin",
    "Oslo",    "Helsinki", "Athens", "Budapest", "Zurich", "Brussels", "London", "Glasgow",
    "Naples",  "Seville",  "Porto",  "Hamburg",  "Krakow", "Tallinn",  "Riga",   "Vilnius",
    "Toronto", "Chicago",  "Boston", "Denver",   "Sydney", "Tokyo",    "Delhi",  "Cairo"};

}  // namespace

std::vector<std::string> different_numbers(std::size_t count, Random& random) {
  std::vector<std::string> numbers;
  std::set<std::size_t> seen;
  while (numbers.size() < count) {
    const std::size_t number = 10000 + random.below(90000);
    if (seen.insert(number).second) numbers.push_back(std::to_string(number));
  }
  return numbers;
}

std::vector<PassKey> pass_keys(std::size_t count, Random& random) {
  VARVE_CHECK(count <= kNames.size(), "{} pass keys", count);
  const std::vector<std::size_t> cities = random.different(count, kNames.size());
  const std::vector<std::string> numbers = different_numbers(count, random);
  std::vector<PassKey> keys;
  for (std::size_t i = 0; i < count; ++i) {
    PassKey key{
        .city = std::string(kNames[cities[i]]), .key = numbers[i], .fact = {}, .question = {}};
    // One in each of `count` equal parts of the document.
    const double depth = (static_cast<double>(i) + random.share()) / static_cast<double>(count);
    key.fact = {depth, fmt::format("The pass key of {} is {}.", key.city, key.key)};
    key.question = {
        fmt::format("What is the pass key of {}? Answer with the number alone.", key.city),
        fmt::format("The pass key of {} is", key.city), key.key};
    keys.push_back(std::move(key));
  }
  return keys;
}

TaskSample make_pass_key(TaskInput input) {
  const PassKey key = pass_keys(1, input.random).front();
  return {{key.fact}, {key.question}};
}

}  // namespace varve
