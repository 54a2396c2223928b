#include "common/error.h"

namespace varve {

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  throw std::logic_error(
      fmt::format("{}:{}: internal check failed: {} ({})", file, line, condition, detail));
}

}  // namespace varve
