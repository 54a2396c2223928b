// The variants of a cache policy's slots: one table per slot, with the parameters of each.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace varve {

enum class Slot : std::uint8_t { kScorer, kAllocation, kCompaction, kDecode, kStorage };

/// Every slot, in the order in which they act.
std::span<const Slot> slots();
/// "scorer", "allocation", ... as job files name them.
std::string_view name_of(Slot slot);

struct ParamSpec {
  std::string_view name;
  double fallback = 0;  // what it is when nobody says; an index where there are choices
  double least = 0;
  double most = 0;
  bool integer = true;
  std::span<const std::string_view> choices{};  // where not empty, the value is an index into them
  std::string_view meaning{};
};

struct ComponentSpec {
  std::string_view name;
  std::string_view summary;  // one line
  std::span<const ParamSpec> params{};
};

/// The variants of a slot; the first one does nothing.
std::span<const ComponentSpec> components(Slot slot);
/// Null if no slot has it. Names are unique over all slots.
const ComponentSpec* find_component(std::string_view name);

/// A variant with its parameters set.
struct Component {
  std::string name;
  std::vector<double> values;  // in the order of its ComponentSpec's params

  /// A name that the component does not have is a bug, here and below.
  double get(std::string_view param) const;
  std::size_t count(std::string_view param) const;
  /// Of a parameter with choices: the one that is set.
  std::string_view choice(std::string_view param) const;
  void set(std::string_view param, double value);

  bool operator==(const Component&) const = default;
};
template <class A>
void visit(A& a, Component& c) {
  a(c.name, c.values);
}

/// The component of that name with its defaults, but for `values`. A bug if there is none.
Component make_component(std::string_view name,
                         std::initializer_list<std::pair<std::string_view, double>> values = {});

/// "window {window=32, kernel=5, pool=avg, heads=group}", "uniform".
std::string to_string(const Component& component);

}  // namespace varve
