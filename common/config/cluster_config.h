// The machines that a job runs on: what is the same for every job there. Read from YAML:
//
// clang-format off
//   backend: auto                # auto, cpu, cpu:avx2 (an instruction set), reference, cuda, cuda:f32
//   transport: auto              # auto, mpi, threads (ranks as threads of one process)
//   activations: auto            # between GPUs: auto, nccl, host (through host memory)
//   share_devices: false         # true: ranks may share a GPU, to try things out
//   device_graphs: true          # decode steps of a GPU are CUDA graphs
//   ranks: 2                     # for threads, and to plan without mpirun; otherwise mpirun's count
//   threads: auto                # per rank
//   pin_threads: auto            # to a core each, if they fill all cores; or false
//   layers: auto                 # or ["0:15", "15:30"], or "0:15,15:30": one A:B per rank, B not in it
//   memory: auto                 # limit per rank, such as 24GiB; auto is what the machine has
//   in_flight: 2                 # most steps under way between two ranks
//   control: {port: 0, interface: ""}  # of rank 0; 0 and "" are chosen at start
//   deadlines: {start: 60s, peer: 10s, step: 10min}
// clang-format on
//
// Every key is optional.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/job_config.h"
#include "common/config/problems.h"
#include "common/plan/footprint.h"
#include "common/units.h"

namespace varve {

/// kCpuAmx and those after it are the cpu backend held to one instruction set. Whether a machine
/// has it is known where the backend is made (make_ops), not here: rank 0 reads for all machines.
enum class Backend {
  kAuto,
  kCpu,
  kReference,
  kCuda,
  kCudaF32,
  kCpuAmx,
  kCpuAvx512,
  kCpuAvx2,
  kCpuSse4,
  kCpuNeon,
  kCpuScalar
};
enum class Transport { kAuto, kMpi, kThreads };
enum class Activations { kAuto, kNccl, kHost };

struct ControlConfig {
  std::uint16_t port = 0;  // 0: any free one
  std::string interface;   // "eth0", or an address; empty: all, which the ranks try in turn
};

struct DeadlineConfig {
  std::chrono::milliseconds start{60'000};  // every rank has arrived; 1 s .. 1 h
  std::chrono::milliseconds peer{10'000};   // a rank gives a sign of life; 100 ms .. 10 min
  std::chrono::milliseconds step{600'000};  // one step is done; 1 s .. 24 h
};

struct ClusterConfig {
  Backend backend = Backend::kAuto;
  Transport transport = Transport::kAuto;
  Activations activations = Activations::kAuto;
  bool share_devices = false;
  bool device_graphs = true;
  std::optional<std::uint32_t> ranks;    // 1..1024; nothing: as many as were started
  std::optional<std::uint32_t> threads;  // 1..1024; nothing is auto
  bool pin_threads = true;               // if the threads on a machine are as many as its cores
  std::vector<LayerRange> layers;        // from 0, contiguous, none empty; no entry is auto
  Where layers_where;                    // for check_layers
  std::optional<Bytes> memory;           // 1 MiB .. 64 TiB; nothing is auto
  std::uint32_t in_flight = 2;           // 1..64
  ControlConfig control;
  DeadlineConfig deadlines;
};

/// As read_job. An override may name its key as "threads" or as "cluster.threads".
ClusterConfig read_cluster(const std::filesystem::path& file, const ReadOptions& options,
                           Problems& problems);
ClusterConfig read_cluster_text(const std::filesystem::path& file, std::string text,
                                const ReadOptions& options, Problems& problems);
ClusterConfig load_cluster(const std::filesystem::path& file, const ReadOptions& options = {});

/// Whether a cut that was asked for covers a model of `model_layers` with one range per rank.
/// Nothing to say when it is auto.
void check_layers(const ClusterConfig& cluster, std::size_t model_layers, std::size_t ranks,
                  Problems& problems);

/// As make_ops takes it.
std::string_view to_string(Backend backend);
std::string_view to_string(Transport transport);
std::string_view to_string(Activations activations);

/// The configuration with its defaults filled in, for run.json.
std::string to_json(const ClusterConfig& cluster);

}  // namespace varve
