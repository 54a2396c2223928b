#include "coordinator/fleet/interfaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/error.h"
#include "coordinator/fleet/token.h"

namespace varve {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::ThrowsMessage;

TEST(Interfaces, LoopbackIsThereAndLast) {
  const auto all = interface_addresses();
  ASSERT_FALSE(all.empty());
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(),
                             [](const auto& a, const auto& b) { return a.loopback < b.loopback; }));
  EXPECT_TRUE(std::any_of(all.begin(), all.end(),
                          [](const auto& a) { return a.address == "127.0.0.1" && a.loopback; }));
  for (const auto& a : all) EXPECT_EQ(a.ipv6, a.address.find(':') != std::string::npos);
}

TEST(Interfaces, BindAddressIsAnAddressAnInterfaceOrAll) {
  EXPECT_EQ(resolve_bind_address(""), "");
  EXPECT_EQ(resolve_bind_address("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(resolve_bind_address("::1"), "::1");
  EXPECT_EQ(resolve_bind_address("lo"), "127.0.0.1");
}

TEST(Interfaces, UnknownInterfaceIsAnErrorThatListsTheKnown) {
  EXPECT_THAT([] { resolve_bind_address("ib77"); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("\"ib77\""), HasSubstr("lo"))));
}

TEST(Token, IsLongAndNeverTwiceTheSame) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    tokens.insert(make_launch_token());
    EXPECT_THAT(*tokens.begin(), MatchesRegex("[0-9a-f]{32}"));
  }
  EXPECT_EQ(tokens.size(), 100u);
}

TEST(Token, Comparison) {
  EXPECT_TRUE(same_token("abc", "abc"));
  EXPECT_FALSE(same_token("abc", "abd"));
  EXPECT_FALSE(same_token("abc", "ab"));
  EXPECT_FALSE(same_token("abc", ""));
}

}  // namespace
}  // namespace varve
