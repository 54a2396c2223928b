#include "common/policy/component.h"

#include <algorithm>
#include <array>

#include "common/error.h"

namespace varve {
namespace {

constexpr double kMostRows = 1U << 20U;
constexpr double kMostKernel = 1023;

constexpr std::array<std::string_view, 2> kNoYes = {"no", "yes"};
constexpr std::array<std::string_view, 2> kAvgMax = {"avg", "max"};
constexpr std::array<std::string_view, 2> kGroupAll = {"group", "all"};
constexpr std::array<std::string_view, 2> kNoVisible = {"no", "visible"};
constexpr std::array<std::string_view, 2> kMaxSum = {"max", "sum"};
constexpr std::array<std::string_view, 3> kScopes = {"head", "stage", "global"};
constexpr std::array<std::string_view, 2> kVotes = {"all", "middle"};
constexpr std::array<std::string_view, 2> kEncodings = {"cache", "local"};

constexpr ParamSpec rows(std::string_view name, double fallback, double least,
                         std::string_view meaning) {
  return {name, fallback, least, kMostRows, true, {}, meaning};
}
constexpr ParamSpec share(std::string_view name, double fallback, std::string_view meaning) {
  return {name, fallback, 0, 1, false, {}, meaning};
}
constexpr ParamSpec choice(std::string_view name, std::span<const std::string_view> choices,
                           double fallback, std::string_view meaning) {
  return {name, fallback, 0, static_cast<double>(choices.size() - 1), true, choices, meaning};
}
constexpr ParamSpec kernel(double fallback) {
  return {"kernel", fallback, 1, kMostKernel, true, {}, "rows that scores are pooled over; odd"};
}

constexpr std::array kWindow = {
    rows("window", 32, 1, "queries at the end whose attention counts"),
    kernel(5),
    choice("pool", kAvgMax, 0, "how neighbouring scores are pooled"),
    choice("heads", kGroupAll, 0, "query heads that a score is the mean of: a key head's or all"),
};
constexpr std::array kAccumulated = {
    choice("normalise", kNoVisible, 0, "divided by the number of queries that could see the row"),
};
constexpr std::array kExpected = {
    rows("future", 512, 1, "positions to come that the rotation is averaged over"),
    choice("covariance", kNoYes, 1, "with the second moment of the queries"),
    choice("value_norm", kNoYes, 1, "times the length of the value"),
    share("epsilon", 0, "added to the probability before that"),
};
constexpr std::array kGuided = {
    kernel(15),
    choice("tokens", kMaxSum, 0, "over the tokens of the probe"),
    choice("scope", kScopes, 0, "layers and heads that share one selection: none, a stage's, all"),
    choice("votes", kVotes, 0,
           "layers that choose for scope stage or global: all, or those from a quarter to two "
           "thirds of the depth"),
    ParamSpec{"lag", 1, 0, 8, true, {}, "compactions that a selection of scope global is late"},
    choice("encode", kEncodings, 0,
           "what a chunk is read against: one cache for all questions; or its first and last rows "
           "alone, while each question keeps a cache of its own"),
    share("contrast", 0,
          "of what the other questions pay to a row that is taken off, where each keeps its own"),
};
constexpr std::array kScorers = {
    ComponentSpec{"none", "no row is scored"},
    ComponentSpec{"position", "the newest rows (StreamingLLM)"},
    ComponentSpec{"window", "attention that the last queries pay, pooled (SnapKV, TOVA)", kWindow},
    ComponentSpec{"accumulated", "attention that all queries so far paid (H2O)", kAccumulated},
    ComponentSpec{"key_norm", "short keys"},
    ComponentSpec{"key_difference", "keys unlike the mean key"},
    ComponentSpec{"expected_attention", "attention of queries to come, from their moments",
                  kExpected},
    ComponentSpec{"guided", "attention that the job's questions pay while the document is read",
                  kGuided},
};

constexpr std::array kPyramid = {
    ParamSpec{"beta", 20, 1, 1000, false, {}, "the last layer gets 1 / beta of the mean budget"},
};
constexpr std::array kUncertainty = {
    share("mass", 0.9, "of the attention that a layer is to keep"),
    share("floor", 0.2, "of the mean budget that every layer gets"),
    choice("inverse", kNoYes, 0, "more rows for the layers that need few"),
    rows("skip", 0, 0, "rows at the start that do not count (sinks)"),
};
constexpr std::array kPerHead = {
    share("floor", 0.2, "of the layer's budget that every key head gets"),
};
constexpr std::array kAllocations = {
    ComponentSpec{"uniform", "the same for every layer and key head"},
    ComponentSpec{"pyramid", "more for lower layers (PyramidKV)", kPyramid},
    ComponentSpec{"uncertainty", "by the rows that hold most of a layer's attention (ZigZagKV)",
                  kUncertainty},
    ComponentSpec{"per_head", "the layer's rows go to the key heads that score highest (Ada-KV)",
                  kPerHead},
};

constexpr std::array kPerChunk = {
    rows("rows", 512, 1, "of the document between two compactions"),
};
constexpr std::array kCompactions = {
    ComponentSpec{"never", "every row of the document stays"},
    ComponentSpec{"after_document", "once, when the document is read"},
    ComponentSpec{"after_question", "once per question, when the question is read"},
    ComponentSpec{"per_chunk", "while the document is read: memory does not grow with it",
                  kPerChunk},
};

constexpr std::string_view kHeavyMeaning = "rows of the answer kept for their attention";
constexpr std::string_view kRecentMeaning = "newest rows of the answer, always kept";
constexpr std::array kSlide = {
    rows("heavy", 256, 0, kHeavyMeaning),
    rows("recent", 256, 1, kRecentMeaning),
};
constexpr std::array kGrowing = {
    rows("heavy", 256, 0, kHeavyMeaning),
    rows("recent", 256, 1, kRecentMeaning),
    choice("literal", kNoYes, 0, "grow as the published code does, not as the paper says"),
};
constexpr std::array kDecodes = {
    ComponentSpec{"keep", "every row of an answer stays"},
    ComponentSpec{"slide", "heavy + recent rows of an answer (SCOPE)", kSlide},
    ComponentSpec{"adaptive", "the same, heavy growing with the answer (SCOPE)", kGrowing},
    ComponentSpec{"discontinuous", "the same, chosen only when one more may stay (SCOPE)",
                  kGrowing},
    ComponentSpec{"one_pool", "each new row costs one of document, question or answer"},
};

constexpr std::array kFewBits = {
    rows("tail", 128, 0, "newest rows of the frozen part that stay in cache.dtype"),
};
constexpr std::array kStorages = {
    ComponentSpec{"float", "cache.dtype"},
    ComponentSpec{"int8", "8 bits, keys per channel, values per row (KIVI)", kFewBits},
    ComponentSpec{"int4", "4 bits, keys per channel, values per row (KIVI)", kFewBits},
    ComponentSpec{"int2", "2 bits, keys per channel, values per row (KIVI)", kFewBits},
};

constexpr std::array kSlots = {Slot::kScorer, Slot::kAllocation, Slot::kCompaction, Slot::kDecode,
                               Slot::kStorage};

const ComponentSpec& spec_of(const Component& component) {
  const ComponentSpec* spec = find_component(component.name);
  VARVE_CHECK(spec != nullptr && spec->params.size() == component.values.size(),
              "component '{}' with {} values", component.name, component.values.size());
  return *spec;
}

std::size_t index_of(const Component& component, std::string_view param) {
  const std::span<const ParamSpec> params = spec_of(component).params;
  const auto found = std::find_if(params.begin(), params.end(),
                                  [&](const ParamSpec& p) { return p.name == param; });
  VARVE_CHECK(found != params.end(), "parameter '{}' of '{}'", param, component.name);
  return static_cast<std::size_t>(found - params.begin());
}

}  // namespace

std::span<const Slot> slots() {
  return kSlots;
}

std::string_view name_of(Slot slot) {
  constexpr std::array<std::string_view, 5> kNames = {"scorer", "allocation", "compaction",
                                                      "decode", "storage"};
  return kNames.at(static_cast<std::size_t>(slot));
}

std::span<const ComponentSpec> components(Slot slot) {
  switch (slot) {
    case Slot::kScorer:
      return kScorers;
    case Slot::kAllocation:
      return kAllocations;
    case Slot::kCompaction:
      return kCompactions;
    case Slot::kDecode:
      return kDecodes;
    case Slot::kStorage:
      return kStorages;
  }
  VARVE_CHECK(false, "slot {}", static_cast<int>(slot));
  return {};
}

const ComponentSpec* find_component(std::string_view name) {
  for (const Slot slot : kSlots) {
    for (const ComponentSpec& spec : components(slot)) {
      if (spec.name == name) return &spec;
    }
  }
  return nullptr;
}

double Component::get(std::string_view param) const {
  return values[index_of(*this, param)];
}

std::size_t Component::count(std::string_view param) const {
  return static_cast<std::size_t>(get(param));
}

std::string_view Component::choice(std::string_view param) const {
  const std::size_t index = index_of(*this, param);
  const std::span<const std::string_view> choices = spec_of(*this).params[index].choices;
  const auto chosen = static_cast<std::size_t>(values[index]);
  VARVE_CHECK(chosen < choices.size(), "choice {} of {} of '{}.{}'", chosen, choices.size(), name,
              param);
  return choices[chosen];
}

void Component::set(std::string_view param, double value) {
  values[index_of(*this, param)] = value;
}

Component make_component(std::string_view name,
                         std::initializer_list<std::pair<std::string_view, double>> values) {
  const ComponentSpec* spec = find_component(name);
  VARVE_CHECK(spec != nullptr, "no component '{}'", name);
  Component component{std::string(name), {}};
  for (const ParamSpec& param : spec->params) component.values.push_back(param.fallback);
  for (const auto& [param, value] : values) component.set(param, value);
  return component;
}

std::string to_string(const Component& component) {
  const std::span<const ParamSpec> params = spec_of(component).params;
  if (params.empty()) return component.name;
  std::string text;
  for (std::size_t i = 0; i < params.size(); ++i) {
    text += fmt::format("{}{}=", text.empty() ? "" : ", ", params[i].name);
    text += params[i].choices.empty() ? fmt::format("{}", component.values[i])
                                      : std::string(component.choice(params[i].name));
  }
  return fmt::format("{} {{{}}}", component.name, text);
}

}  // namespace varve
