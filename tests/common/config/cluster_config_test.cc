#include "common/config/cluster_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

using namespace literals;
using namespace std::chrono_literals;
using testing::ElementsAre;

ClusterConfig read(const std::string& text) {
  Problems problems;
  ClusterConfig cluster = read_cluster_text("cluster.yaml", text, {{}, false}, problems);
  EXPECT_EQ(joined(problems), "");
  return cluster;
}

TEST(Cluster, Defaults) {
  const ClusterConfig cluster = read("{}");
  EXPECT_EQ(cluster.backend, Backend::kAuto);
  EXPECT_EQ(cluster.transport, Transport::kAuto);
  EXPECT_EQ(cluster.ranks, std::nullopt);
  EXPECT_EQ(cluster.threads, std::nullopt);
  EXPECT_TRUE(cluster.pin_threads);
  EXPECT_TRUE(cluster.layers.empty());
  EXPECT_EQ(cluster.memory, std::nullopt);
  EXPECT_EQ(cluster.in_flight, 2U);
  EXPECT_EQ(cluster.control.port, 0);
  EXPECT_EQ(cluster.control.interface, "");
  EXPECT_EQ(cluster.deadlines.start, 60s);
  EXPECT_EQ(cluster.deadlines.peer, 10s);
  EXPECT_EQ(cluster.deadlines.step, 10min);
}

TEST(Cluster, EveryKey) {
  const ClusterConfig cluster = read(R"(
backend: reference
transport: threads
ranks: 3
threads: 2
pin_threads: false
layers: ["0:1", 1:10, "10:30"]
memory: 24GiB
in_flight: 4
control: {port: 47110, interface: eth0}
deadlines: {start: 5min, peer: 1.5s, step: 1h}
)");
  EXPECT_EQ(cluster.backend, Backend::kReference);
  EXPECT_EQ(cluster.transport, Transport::kThreads);
  EXPECT_EQ(cluster.ranks, 3U);
  EXPECT_EQ(cluster.threads, 2U);
  EXPECT_FALSE(cluster.pin_threads);
  EXPECT_THAT(cluster.layers, ElementsAre(LayerRange{0, 1}, LayerRange{1, 10}, LayerRange{10, 30}));
  EXPECT_EQ(cluster.memory, 24_GiB);
  EXPECT_EQ(cluster.in_flight, 4U);
  EXPECT_EQ(cluster.control.port, 47110);
  EXPECT_EQ(cluster.control.interface, "eth0");
  EXPECT_EQ(cluster.deadlines.start, 5min);
  EXPECT_EQ(cluster.deadlines.peer, 1500ms);
  EXPECT_EQ(cluster.deadlines.step, 1h);
}

TEST(Cluster, ABackendMayNameItsInstructionSet) {
  EXPECT_EQ(read("backend: cpu:avx2").backend, Backend::kCpuAvx2);
  EXPECT_EQ(read("{backend: cpu:scalar}").backend, Backend::kCpuScalar);
  EXPECT_EQ(to_string(Backend::kCpuAvx512), "cpu:avx512");
}

TEST(Cluster, LayersInOneText) {
  EXPECT_THAT(read("layers: 0:15,15:30").layers,
              ElementsAre(LayerRange{0, 15}, LayerRange{15, 30}));
  EXPECT_THAT(read("layers: [0:15, 15:30]").layers,
              ElementsAre(LayerRange{0, 15}, LayerRange{15, 30}));
  EXPECT_TRUE(read("layers: auto").layers.empty());
}

struct Refusal {
  const char* yaml;
  const char* text;
};

class ClusterRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(ClusterRefuses, WithPlacePathAndWhatWouldBeRight) {
  EXPECT_EQ(cluster_problems(GetParam().yaml), std::string("cluster.yaml:1:") + GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ClusterRefuses,
    testing::Values(
        Refusal{"backend: gpu",
                "1: backend: unknown value 'gpu'; did you mean 'cpu'?; known: auto, cpu, "
                "reference, cuda, cuda:f32, cpu:amx, cpu:avx512, cpu:avx2, cpu:sse4, cpu:neon, "
                "cpu:scalar"},
        Refusal{"backend: cpu:avx3",
                "1: backend: unknown value 'cpu:avx3'; did you mean 'cpu:avx2'?; known: auto, cpu, "
                "reference, cuda, cuda:f32, cpu:amx, cpu:avx512, cpu:avx2, cpu:sse4, cpu:neon, "
                "cpu:scalar"},
        Refusal{"transport: nccl", "1: transport: unknown value 'nccl'; known: auto, mpi, threads"},
        Refusal{"ranks: 0", "1: ranks: must be between 1 and 1024, is 0"},
        Refusal{"ranks: auto",
                "1: ranks: must be a whole number between 1 and 1024, is the text 'auto'"},
        Refusal{"threads: 1025", "1: threads: must be auto or between 1 and 1024, is 1025"},
        Refusal{"pin_threads: true", "1: pin_threads: unknown value 'true'; known: auto, false"},
        Refusal{"memory: 1KiB",
                "1: memory: must be auto or a size between 1 MiB and 64 TiB, is the text '1KiB'"},
        Refusal{"memory: lots",
                "1: memory: must be auto or a size between 1 MiB and 64 TiB: 'lots' is not a size; "
                "write a number and a unit, such as 512MiB or 8GiB"},
        Refusal{"in_flight: 65", "1: in_flight: must be between 1 and 64, is 65"},
        Refusal{"control: {port: 65536}",
                "11: control.port: must be between 0 and 65535, is 65536"},
        Refusal{"control: {interface: [a]}",
                "11: control.interface: must be a text, is a list of 1"},
        Refusal{"deadlines: {peer: 99ms}",
                "13: deadlines.peer: must be a duration between 100 ms and 10 min, is the text "
                "'99ms'"},
        Refusal{"deadlines: {peer: 10}",
                "13: deadlines.peer: must be a duration between 100 ms and 10 min: '10' is not a "
                "duration; write a number and a unit, such as 250ms, 3s or 10min"},
        Refusal{"deadlines: {start: 2h}",
                "13: deadlines.start: must be a duration between 1 s and 1 h, is the text '2h'"},
        Refusal{"deadlines: {step: 25h}",
                "13: deadlines.step: must be a duration between 1 s and 24 h, is the text '25h'"},
        Refusal{"layers: []", "1: layers: must name at least one range, or be auto"},
        Refusal{"layers: {a: b}", "1: layers: must be a text, is a map of 'a'"},
        Refusal{"layers: even",
                "1: layers: must be auto or ranges of layers such as 0:15, is 'even'"},
        Refusal{"layers: ['0-15']",
                "10: layers.0: must be auto or ranges of layers such as 0:15, is '0-15'"},
        Refusal{"layers: ['-1:15']",
                "10: layers.0: must be auto or ranges of layers such as 0:15, is '-1:15'"},
        Refusal{"layers: ['0:99999999999999999999']",
                "10: layers.0: must be auto or ranges of layers such as 0:15, is "
                "'0:99999999999999999999'"},
        Refusal{"layers: ['1:15']", "10: layers.0: 1:15 must begin at 0, where a model begins"},
        Refusal{"layers: ['0:15', '16:30']",
                "18: layers.1: 16:30 must begin at 15, where the range before it ends"},
        Refusal{"layers: ['0:15', '15:15']",
                "18: layers.1: 15:15 is empty; every rank needs a layer (0:15 is 0 to 14)"},
        Refusal{"layers: '0:15,'",
                "1: layers: must be auto or ranges of layers such as 0:15, is ''"},
        Refusal{"{ranks: 3, layers: '0:15,15:30'}",
                "12: layers: names 2 ranges for 3 ranks; every rank needs one"},
        Refusal{"gadget: 0",
                "1: unknown key 'gadget'; known: backend, transport, activations, share_devices, "
                "device_graphs, ranks, threads, pin_threads, "
                "layers, memory, in_flight, control, deadlines"}));

TEST(Cluster, LayersAreCheckedAgainstTheModel) {
  const ClusterConfig cluster = read("layers: 0:15,15:30");
  Problems good;
  check_layers(cluster, 30, 2, good);
  check_layers(read("{}"), 30, 2, good);
  EXPECT_TRUE(good.empty());

  Problems problems;
  check_layers(cluster, 32, 4, problems);
  EXPECT_EQ(joined(problems),
            "cluster.yaml:1:1: layers: names 2 ranges for 4 ranks; every rank needs one\n"
            "cluster.yaml:1:1: layers: must end at 32, the model's count of layers, ends at 30");
}

TEST(Cluster, ThrowsAllProblemsAsOneError) {
  const TemporaryFolder folder;
  const auto file = folder.write("c.yaml", "ranks: 0\nthreads: 0\n");
  EXPECT_THAT([&] { load_cluster(file); },
              testing::ThrowsMessage<ConfigError>(
                  file.string() + ":1:1: ranks: must be between 1 and 1024, is 0\n" +
                  file.string() + ":2:1: threads: must be auto or between 1 and 1024, is 0"));
  EXPECT_EQ(load_cluster(file, {{"ranks=2", "threads=auto"}, true}).ranks, 2U);
}

TEST(Cluster, ToJsonIsNamed) {
  const auto json = nlohmann::json::parse(
      to_json(read("backend: cpu\nlayers: 0:15,15:30\nmemory: 1GiB\ndeadlines: {step: 90s}\n")));
  EXPECT_EQ(json["backend"], "cpu");
  EXPECT_EQ(json["transport"], "auto");
  EXPECT_EQ(json["pin_threads"], "auto");
  EXPECT_EQ(nlohmann::json::parse(to_json(read("pin_threads: false")))["pin_threads"], false);
  EXPECT_EQ(json["layers"].dump(), "[\"0:15\",\"15:30\"]");
  EXPECT_EQ(json["memory"], 1 << 30);
  EXPECT_EQ(json["deadlines"]["step"], "1 min 30 s");
  EXPECT_TRUE(json["ranks"].is_null());
}

}  // namespace
}  // namespace varve
