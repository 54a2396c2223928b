#include "coordinator/eval/document_cut.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/error.h"

namespace varve {
namespace {

constexpr int kTries = 6;
constexpr int kMostTries = 64;  // if none has fitted
constexpr int kFillers = 3;

using Sentence = SourceText::Sentence;

class Cut {
 public:
  Cut(const SourceText& source, std::size_t first, std::span<const Fact> facts, Random random)
      : source_(source), first_(first), facts_(facts), random_(random) {}

  // A document of about `room` tokens, by the tokens of its sentences alone.
  std::string make(std::size_t room) {
    picked_.clear();
    take_in_a_row(room);
    for (int i = 0; i < kFillers; ++i) fill(room);
    return join();
  }

 private:
  void take_in_a_row(std::size_t& room) {
    const auto& all = source_.sentences();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Sentence& s = all[(first_ + i) % all.size()];
      if (s.tokens > room) return;
      room -= s.tokens;
      picked_.push_back(&s);
    }
  }

  // One of the longest sentences that fit.
  void fill(std::size_t& room) {
    const auto& all = source_.sentences();
    const auto& order = source_.by_tokens();
    const auto end = std::partition_point(order.begin(), order.end(),
                                          [&](std::size_t i) { return all[i].tokens <= room; });
    if (end == order.begin()) return;
    const std::size_t tokens = all[*std::prev(end)].tokens;
    const auto begin = std::partition_point(order.begin(), end,
                                            [&](std::size_t i) { return all[i].tokens < tokens; });
    const auto choices = static_cast<std::size_t>(end - begin);
    const Sentence& s = all[*(begin + static_cast<std::ptrdiff_t>(random_.below(choices)))];
    room -= s.tokens;
    picked_.push_back(&s);
  }

  std::string join() const {
    std::string text;
    bool new_line = false;
    const auto add = [&](std::string_view sentence) {
      if (!text.empty()) text += new_line ? '\n' : ' ';
      text += sentence;
    };
    const auto place = [&](const Fact& fact) {
      return static_cast<std::size_t>(std::floor(fact.depth * static_cast<double>(picked_.size())));
    };
    for (std::size_t i = 0; i <= picked_.size(); ++i) {
      for (const Fact& fact : facts_) {
        if (std::min(place(fact), picked_.size()) == i) add(fact.sentence);
      }
      if (i == picked_.size()) break;
      add(picked_[i]->text);
      new_line = picked_[i]->ends_line;
    }
    return text;
  }

  const SourceText& source_;
  std::size_t first_;
  std::span<const Fact> facts_;
  Random random_;
  std::vector<const Sentence*> picked_;
};

}  // namespace

std::string cut_document(const SourceText& source, std::size_t first, std::span<const Fact> facts,
                         std::size_t tokens, const CountTokens& count, Random random) {
  if (source.tokens() < tokens) {
    throw ConfigError(
        fmt::format("{}: has about {} tokens, and a document of {} is to be cut from it",
                    source.name(), source.tokens(), tokens));
  }
  std::string best;
  std::size_t most = 0;
  std::size_t room = tokens;
  // Sentences take a token more or less side by side than alone, and facts and frame take theirs.
  for (int i = 0; i < kTries || (best.empty() && i < kMostTries); ++i) {
    std::string document = Cut(source, first, facts, random).make(room);
    const std::size_t taken = count(document);
    if (taken <= tokens && (best.empty() || taken > most)) {
      best = std::move(document);
      most = taken;
    }
    if (taken <= tokens && tokens - taken <= kLengthTolerance) break;
    room = room + tokens < taken ? 0 : room + tokens - taken;
    // Undershoot a little next time, so that two lengths do not take turns; and then more, where
    // less room is filled up with other sentences of the same length.
    const std::size_t less = i < kTries ? 1 : kLengthTolerance;
    if (taken > tokens) room -= std::min(room, less);
  }
  if (best.empty()) {
    throw ConfigError(
        fmt::format("{} tokens hold no document with what is asked about it", tokens));
  }
  return best;
}

std::size_t first_sentence(const SourceText& source, std::uint64_t seed, std::uint64_t sample) {
  constexpr double kGolden = 0.6180339887498949;
  const double at = Random(seed).share() + kGolden * static_cast<double>(sample);
  const double share = at - std::floor(at);
  const std::size_t count = source.sentences().size();
  return std::min(static_cast<std::size_t>(share * static_cast<double>(count)), count - 1);
}

}  // namespace varve
