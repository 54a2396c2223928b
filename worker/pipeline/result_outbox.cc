#include "worker/pipeline/result_outbox.h"

#include <algorithm>

namespace varve {

void ResultOutbox::send(const StepResult& result) {
  for (const SampledToken& token : result.tokens) settle(token.sequence);
  // In its place first: the bytes must not move once they are being sent.
  Letter& letter = letters_.emplace_back();
  for (const SampledToken& token : result.tokens) letter.sequences.push_back(token.sequence);
  letter.bytes = to_bytes(result);
  letter.send = comm_.send(letter.bytes, 0, Tag::kTokens);
}

void ResultOutbox::settle(std::uint32_t sequence) {
  const auto of_sequence = [sequence](const Letter& letter) {
    return std::count(letter.sequences.begin(), letter.sequences.end(), sequence) > 0;
  };
  while (std::any_of(letters_.begin(), letters_.end(), of_sequence)) reclaim_oldest();
}

void ResultOutbox::reclaim_oldest() {
  comm_.wait(letters_.front().send, {deadline_, "tokens to leave"});
  letters_.pop_front();
}

void ResultOutbox::flush() {
  while (!letters_.empty()) reclaim_oldest();
}

}  // namespace varve
