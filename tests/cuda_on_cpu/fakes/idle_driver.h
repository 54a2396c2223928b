#pragma once

namespace varve::fakes {

/// From now on the device goes on by itself when no thread has called the runtime for a while:
/// threads may wait for each other, and for host functions, without calling CUDA. Only with several
/// host threads, or while a host function is queued; a single host thread that calls none keeps an
/// order that repeats.
void start_idle_driver();

}  // namespace varve::fakes
