#pragma once

#include <string>

#include "common/error.h"

namespace varve::test {

/// What the ConfigError says that `call` throws; "" if it throws none.
template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return {};
}

}  // namespace varve::test
