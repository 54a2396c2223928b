#include "tests/kernels/fixtures.h"

namespace varve::test {

std::vector<std::string> fast_backends() {
  std::vector<std::string> names;
  for (const std::string& name : backends()) {
    if (name.starts_with("cpu:")) names.push_back(name);
  }
  return names;
}

std::vector<std::string> all_backends() {
  std::vector<std::string> names = fast_backends();
  names.emplace_back("reference");
  return names;
}

bool tried_in_full(const std::string& backend) {
  return backend == fast_backends().front() || backend == "cpu:avx512" || backend == "cpu:avx2";
}

}  // namespace varve::test
