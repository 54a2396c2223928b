#include "tests/cuda_on_cpu/fakes/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <string>

namespace varve::fakes {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Settings from(const std::map<std::string, std::string>& environment) {
  return settings_from_environment([&environment](const char* name) {
    const auto entry = environment.find(name);
    return entry == environment.end() ? nullptr : entry->second.c_str();
  });
}

TEST(Settings, AreLazyAndOfOneDeviceByDefault) {
  const Settings settings = from({});
  EXPECT_EQ(settings.order, Order::kLazy);
  EXPECT_THAT(settings.devices, ElementsAre(0));
  EXPECT_EQ(settings.deadline, std::chrono::seconds(5));
}

TEST(Settings, ReadTheOrder) {
  EXPECT_EQ(from({{"VARVE_FAKE_ORDER", "eager"}}).order, Order::kEager);
  EXPECT_EQ(from({{"VARVE_FAKE_ORDER", "contrary"}}).order, Order::kContrary);
  const Settings random = from({{"VARVE_FAKE_ORDER", "random:17"}});
  EXPECT_EQ(random.order, Order::kRandom);
  EXPECT_EQ(random.seed, 17U);
}

TEST(Settings, ShowWhatIsVisible) {
  EXPECT_THAT(from({{"VARVE_FAKE_DEVICES", "3"}}).devices, ElementsAre(0, 1, 2));
  EXPECT_THAT(from({{"VARVE_FAKE_DEVICES", "0"}}).devices, IsEmpty());
  EXPECT_THAT(from({{"VARVE_FAKE_DEVICES", "4"}, {"CUDA_VISIBLE_DEVICES", "3,1"}}).devices,
              ElementsAre(3, 1));
  EXPECT_THAT(from({{"VARVE_FAKE_DEVICES", "2"}, {"CUDA_VISIBLE_DEVICES", "1,5,0"}}).devices,
              ElementsAre(1));
}

TEST(Settings, ReadMemoryAndDeadline) {
  EXPECT_EQ(from({{"VARVE_FAKE_MEMORY", "1048576"}}).memory, std::size_t{1} << 20);
  EXPECT_EQ(from({{"VARVE_FAKE_DEADLINE", "0.25"}}).deadline, std::chrono::milliseconds(250));
}

class WrongSettings : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(WrongSettings, AreNamed) {
  const auto& [name, value] = GetParam();
  try {
    from({{name, value}});
    FAIL() << name << "=" << value;
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(name + "=" + value));
  }
}

INSTANTIATE_TEST_SUITE_P(All, WrongSettings,
                         testing::Values(std::pair("VARVE_FAKE_ORDER", "fair"),
                                         std::pair("VARVE_FAKE_ORDER", "random:x"),
                                         std::pair("VARVE_FAKE_DEVICES", "99"),
                                         std::pair("VARVE_FAKE_MEMORY", "1GiB"),
                                         std::pair("VARVE_FAKE_DEADLINE", "0")));

}  // namespace
}  // namespace varve::fakes
