// make_ops (kernels/ops.h) for who also says where the threads run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/ops.h"

namespace varve {

/// As make_ops. With `cores`, one for each thread, the threads of a cpu backend are kept on them,
/// and so is the calling thread until the end of the Ops (ThreadPool). The other backends have no
/// threads of their own and ignore them.
std::unique_ptr<Ops> make_pinned_ops(std::string_view backend, std::size_t threads,
                                     std::span<const std::uint32_t> cores);

}  // namespace varve
