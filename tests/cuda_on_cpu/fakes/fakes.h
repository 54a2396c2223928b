// The CUDA runtime, cuBLASLt and NCCL on a machine without a GPU, against NVIDIA's own headers: a
// program links varve_cuda_fakes in place of the real libraries and runs whole. What is faked is
// the order in which things happen, because that is where host programs are wrong:
//
// - Streams are queues. Nothing runs before somebody waits, and then in an order that CUDA allows
//   but nobody hopes for. VARVE_FAKE_ORDER is one of
//     eager        everything at once, as soon as it can
//     lazy         only what the wait needs (the default)
//     contrary     everything else first, youngest stream first, the awaited stream last
//     random:SEED  any order
//   eager, lazy and contrary together find what a missing wait breaks; no luck is needed.
//   One host thread: the same order every time. Several (ranks as threads): whoever waits drives
//   the device, one at a time.
// - Device memory is closed to host code: who touches it is told so, in one line, and ends. Fresh
//   and freed memory reads as NaN, and what is written behind a block is found at the next wait.
//   Where the processor has protection keys it is open only to the thread that drives the device;
//   elsewhere, with several host threads, it is open to all while one drives: then a wrong access
//   may pass, but none that is right is refused. Under AddressSanitizer blocks come from malloc
//   instead, so that it finds the very access.
// - Copies are checked against the memory that they name (side, size, still allocated), streams
//   must be non-blocking, the default stream is an error, stream capture follows CUDA's rules. A
//   copy from pageable memory is as late as any: CUDA says only that it might be synchronous.
// - cuBLASLt adds in float in ascending k. For few columns it first recommends to split k, which
//   gives other bits, unless the preference forbids it; it checks alignments and extents.
// - Ranks of a fake NCCL are processes of one machine, or threads of one process, over local
//   sockets (not over MPI: a rank that died must be noticed, which Open MPI 4 answers by ending
//   the job). Sends are rendezvous, so an exchange outside a group hangs as it may there.
// - Work that throws (KernelError) fails its stream and what waits for it, and surfaces where the
//   host waits: cudaStreamSynchronize, cudaEventSynchronize, queries. Calls that destroy or free
//   never throw.
// - A wait without any progress for VARVE_FAKE_DEADLINE seconds (5) is a KernelError with the head
//   of every stream.
// VARVE_FAKE_DEVICES (1) is the number of devices that the machine has; CUDA_VISIBLE_DEVICES picks
// some. VARVE_FAKE_MEMORY (4 GiB) is what each has, in bytes.
//
// Not faked: real concurrency and speed, the protocols of NCCL, rounding of cuBLAS, peer access,
// default streams, managed memory. Nothing here has been compared with a GPU.
#pragma once

#include <string>

#include "tests/cuda_on_cpu/fakes/settings.h"

namespace varve::fakes {

/// The device goes on by a step if this thread has waited for something else than the device for
/// longer than a millisecond. For loops that wait outside CUDA (for a message, say).
void pump();

/// Why the last call of this thread that was refused was refused. It was printed, too.
std::string last_refusal();

/// Replaces what the environment said. All streams must be empty and all memory freed.
void configure(const Settings& settings);

}  // namespace varve::fakes
