#include "common/policy/component.h"

#include <gtest/gtest.h>

#include <set>

namespace varve {
namespace {

TEST(Components, HaveUniqueNamesAndSoundParameters) {
  std::set<std::string_view> names;
  for (const Slot slot : slots()) {
    for (const ComponentSpec& spec : components(slot)) {
      EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
      EXPECT_FALSE(spec.summary.empty()) << spec.name;
      std::set<std::string_view> params;
      for (const ParamSpec& p : spec.params) {
        EXPECT_TRUE(params.insert(p.name).second) << spec.name << p.name;
        EXPECT_LE(p.least, p.fallback) << spec.name << p.name;
        EXPECT_LE(p.fallback, p.most) << spec.name << p.name;
        EXPECT_FALSE(p.meaning.empty()) << spec.name << p.name;
        if (p.choices.empty()) continue;
        EXPECT_EQ(p.most + 1, static_cast<double>(p.choices.size())) << spec.name << p.name;
      }
    }
  }
}

TEST(Components, FirstOfASlotDoesNothing) {
  const std::vector<std::string_view> idle = {"none", "uniform", "never", "keep", "float"};
  for (std::size_t i = 0; i < idle.size(); ++i) {
    EXPECT_EQ(components(slots()[i]).front().name, idle[i]);
  }
}

TEST(Component, HasDefaultsAndTakesValues) {
  Component window = make_component("window", {{"window", 64}, {"pool", 1}});
  EXPECT_EQ(window.count("window"), 64U);
  EXPECT_EQ(window.get("kernel"), 5);
  EXPECT_EQ(window.choice("pool"), "max");
  EXPECT_EQ(window.choice("heads"), "group");
  window.set("kernel", 7);
  EXPECT_EQ(to_string(window), "window {window=64, kernel=7, pool=max, heads=group}");
  EXPECT_EQ(to_string(make_component("pyramid")), "pyramid {beta=20}");
  EXPECT_EQ(to_string(make_component("uncertainty")),
            "uncertainty {mass=0.9, floor=0.2, inverse=no, skip=0}");
  EXPECT_EQ(to_string(make_component("uniform")), "uniform");
  EXPECT_EQ(find_component("windows"), nullptr);
}

TEST(ComponentDeathTest, AnUnknownNameIsABug) {
  EXPECT_ANY_THROW(make_component("windows"));
  EXPECT_ANY_THROW(make_component("window", {{"beta", 1}}));
  EXPECT_ANY_THROW(make_component("window").get("beta"));
  EXPECT_ANY_THROW(make_component("window").choice("kernel"));
  EXPECT_ANY_THROW((Component{"window", {1}}.get("window")));
}

}  // namespace
}  // namespace varve
