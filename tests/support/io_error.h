// What an IoError says, for tests of messages.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/error.h"

namespace varve {

/// The message of the IoError that f throws; a failed test and "" if it throws none. Any other
/// exception passes.
template <class F>
std::string io_error(F&& f) {
  try {
    f();
  } catch (const IoError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no IoError was thrown";
  return "";
}

}  // namespace varve
