// Reads the body of one function.
#pragma once

#include "tests/cuda_on_cpu/ptx/syntax.h"
#include "tests/cuda_on_cpu/ptx/token_stream.h"

namespace varve::ptx {

/// A variable behind its space: .align 4 .b8 name[16] = {...}, up to but without what ends it.
Variable parse_variable(TokenStream& tokens, Space space);

/// From the opening brace to behind the closing one.
void parse_body(TokenStream& tokens, Function& function);

}  // namespace varve::ptx
