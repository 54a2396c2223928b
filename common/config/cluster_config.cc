#include "common/config/cluster_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/config/reader.h"
#include "common/error.h"
#include "common/in_quotes.h"

namespace varve {
namespace {

using namespace literals;  // NOLINT(google-build-using-namespace)
using namespace std::chrono_literals;

constexpr std::size_t kMostRanks = 1024;

constexpr std::array kBackends = {
    Named<Backend>{"auto", Backend::kAuto},
    Named<Backend>{"cpu", Backend::kCpu},
    Named<Backend>{"reference", Backend::kReference},
    Named<Backend>{"cuda", Backend::kCuda},
    Named<Backend>{"cuda:f32", Backend::kCudaF32},
    Named<Backend>{"cpu:amx", Backend::kCpuAmx},
    Named<Backend>{"cpu:avx512", Backend::kCpuAvx512},
    Named<Backend>{"cpu:avx2", Backend::kCpuAvx2},
    Named<Backend>{"cpu:sse4", Backend::kCpuSse4},
    Named<Backend>{"cpu:neon", Backend::kCpuNeon},
    Named<Backend>{"cpu:scalar", Backend::kCpuScalar},
};
constexpr std::array kPinThreads = {Named<bool>{"auto", true}, Named<bool>{"false", false}};
constexpr std::array kTransports = {
    Named<Transport>{"auto", Transport::kAuto},
    Named<Transport>{"mpi", Transport::kMpi},
    Named<Transport>{"threads", Transport::kThreads},
};

constexpr std::array kActivations = {
    Named<Activations>{"auto", Activations::kAuto},
    Named<Activations>{"nccl", Activations::kNccl},
    Named<Activations>{"host", Activations::kHost},
};

template <class E, std::size_t N>
std::string_view name_of(E value, const std::array<Named<E>, N>& names) {
  for (const Named<E>& named : names) {
    if (named.value == value) return named.name;
  }
  VARVE_CHECK(false, "enumeration value {}", static_cast<int>(value));
  return {};
}

std::optional<std::size_t> parse_count(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<LayerRange> parse_range(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto begin = parse_count(text.substr(0, colon));
  const auto end = parse_count(text.substr(colon + 1));
  if (!begin || !end) return std::nullopt;
  return LayerRange{*begin, *end};
}

/// One A:B, appended if it continues what is there.
void append_range(const ConfigNode& node, std::string_view text, std::vector<LayerRange>& layers) {
  const std::size_t next = layers.empty() ? 0 : layers.back().end;
  const std::optional<LayerRange> range = parse_range(text);
  if (!range) {
    node.problem(
        fmt::format("must be auto or ranges of layers such as 0:15, is {}", in_quotes(text)));
  } else if (range->begin >= range->end) {
    node.problem(fmt::format("{} is empty; every rank needs a layer (0:15 is 0 to 14)", text));
  } else if (range->begin != next) {
    node.problem(fmt::format("{} must begin at {}, where {}", text, next,
                             layers.empty() ? "a model begins" : "the range before it ends"));
  }
  // Taken even if wrong, so that one mistake is reported once.
  layers.push_back(range.value_or(LayerRange{next, next}));
}

void read_layers(const ConfigNode& node, ClusterConfig& out) {
  if (!node.exists() || node.is_auto()) return;
  out.layers_where = node.where();
  std::string text;
  if (node.is_list()) {
    const std::vector<ConfigNode> items = node.read_list();
    if (items.empty()) node.problem("must name at least one range, or be auto");
    if (items.size() > kMostRanks) {
      node.problem(fmt::format("at most {} ranges, are {}", kMostRanks, items.size()));
      return;
    }
    for (const ConfigNode& item : items) {
      if (item.read(text)) append_range(item, text, out.layers);
    }
  } else if (node.read(text)) {
    std::string_view rest = text;
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      append_range(node, rest.substr(0, comma), out.layers);
      more = comma != std::string_view::npos && out.layers.size() < kMostRanks;
      if (more) rest.remove_prefix(comma + 1);
    }
  }
  if (out.ranks && !out.layers.empty() && out.layers.size() != *out.ranks) {
    node.problem(fmt::format("names {} ranges for {} ranks; every rank needs one",
                             out.layers.size(), *out.ranks));
  }
}

ClusterConfig read_fields(const ConfigDocument& document) {
  ClusterConfig out;
  document.root().read_map([&](ConfigMap& map) {
    map.at("backend").read(out.backend, kBackends);
    map.at("transport").read(out.transport, kTransports);
    map.at("activations").read(out.activations, kActivations);
    map.at("share_devices").read(out.share_devices);
    map.at("device_graphs").read(out.device_graphs);
    std::uint32_t ranks = 0;
    if (map.at("ranks").read(ranks, 1, kMostRanks)) out.ranks = ranks;
    map.at("threads").read_or_auto(out.threads, 1, 1024);
    map.at("pin_threads").read(out.pin_threads, kPinThreads);
    read_layers(map.at("layers"), out);
    map.at("memory").read_or_auto(out.memory, 1_MiB, 64_TiB);
    map.at("in_flight").read(out.in_flight, 1, 64);
    map.at("control").read_map([&](ConfigMap& control) {
      control.at("port").read(out.control.port, 0, 65535);
      control.at("interface").read(out.control.interface);
    });
    map.at("deadlines").read_map([&](ConfigMap& deadlines) {
      deadlines.at("start").read(out.deadlines.start, 1s, 1h);
      deadlines.at("peer").read(out.deadlines.peer, 100ms, 10min);
      deadlines.at("step").read(out.deadlines.step, 1s, 24h);
    });
  });
  return out;
}

}  // namespace

ClusterConfig read_cluster(const std::filesystem::path& file, const ReadOptions& options,
                           Problems& problems) {
  return read_fields(ConfigDocument(file, options.overrides, problems, "cluster."));
}

ClusterConfig read_cluster_text(const std::filesystem::path& file, std::string text,
                                const ReadOptions& options, Problems& problems) {
  return read_fields(
      ConfigDocument(file, std::move(text), options.overrides, problems, "cluster."));
}

ClusterConfig load_cluster(const std::filesystem::path& file, const ReadOptions& options) {
  Problems problems;
  ClusterConfig cluster = read_cluster(file, options, problems);
  problems.throw_if_any();
  return cluster;
}

void check_layers(const ClusterConfig& cluster, std::size_t model_layers, std::size_t ranks,
                  Problems& problems) {
  if (cluster.layers.empty()) return;
  if (cluster.layers.size() != ranks) {
    problems.add(cluster.layers_where, "layers",
                 fmt::format("names {} ranges for {} ranks; every rank needs one",
                             cluster.layers.size(), ranks));
  }
  if (cluster.layers.back().end != model_layers) {
    problems.add(cluster.layers_where, "layers",
                 fmt::format("must end at {}, the model's count of layers, ends at {}",
                             model_layers, cluster.layers.back().end));
  }
}

std::string_view to_string(Backend backend) {
  return name_of(backend, kBackends);
}
std::string_view to_string(Transport transport) {
  return name_of(transport, kTransports);
}
std::string_view to_string(Activations activations) {
  return name_of(activations, kActivations);
}

}  // namespace varve
