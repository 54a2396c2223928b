#include "tests/kernels/fixtures.h"

namespace varve::test {

std::vector<std::string> fast_backends() {
  return {"cuda", "cuda:f32"};
}

std::vector<std::string> all_backends() {
  return fast_backends();
}

// On the emulator every test is slow.
bool tried_in_full(const std::string& /*backend*/) {
  return false;
}

}  // namespace varve::test
