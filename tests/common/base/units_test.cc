#include "common/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace varve {
namespace {

using namespace literals;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Bytes, ParsesEveryUnit) {
  EXPECT_EQ(parse_bytes("0").count, 0U);
  EXPECT_EQ(parse_bytes("1024").count, 1024U);
  EXPECT_EQ(parse_bytes("7B").count, 7U);
  EXPECT_EQ(parse_bytes("4KiB"), 4_KiB);
  EXPECT_EQ(parse_bytes("512MiB"), 512_MiB);
  EXPECT_EQ(parse_bytes("8GiB"), 8_GiB);
  EXPECT_EQ(parse_bytes("3TiB"), 3_TiB);
  EXPECT_EQ(parse_bytes("2kB").count, 2000U);
  EXPECT_EQ(parse_bytes("2MB").count, 2'000'000U);
  EXPECT_EQ(parse_bytes("2GB").count, 2'000'000'000U);
  EXPECT_EQ(parse_bytes("2TB").count, 2'000'000'000'000U);
}

TEST(Bytes, ParsesFractionsSpacesAndAnyCase) {
  EXPECT_EQ(parse_bytes("1.5 GiB").count, 1536ULL << 20);
  EXPECT_EQ(parse_bytes("0.25kib").count, 256U);
  EXPECT_EQ(parse_bytes("1.3 KIB ").count, 1331U);  // 1331.2
  EXPECT_EQ(parse_bytes("0.000001 TiB").count, 1099511U);
}

TEST(Bytes, RefusesWithAnExample) {
  for (const char* text : {"", "GiB", "-1GiB", "1.GiB", ".5GiB", "1..5GiB", "8 Gigs", "8GiB 1MiB",
                           "1.5", "0x10", "1e9", "8Gi", " 8GiB", "1.1234567GiB"}) {
    EXPECT_THAT([&] { parse_bytes(text); },
                ThrowsMessage<ConfigError>(HasSubstr("is not a size; write a number and a unit")))
        << text;
  }
}

TEST(Bytes, RefusesWhatDoesNotFit) {
  EXPECT_EQ(parse_bytes("18446744073709551615").count, 18446744073709551615ULL);
  EXPECT_EQ(parse_bytes("16777215.999999 TiB").count >> 40, 16777215U);
  for (const char* text : {"18446744073709551616", "16777216TiB", "99999999999999999999999GiB"}) {
    EXPECT_THAT([&] { parse_bytes(text); },
                ThrowsMessage<ConfigError>(HasSubstr("is too large a size")))
        << text;
  }
}

TEST(Bytes, PrintsShortly) {
  EXPECT_EQ(to_string(0_KiB), "0 B");
  EXPECT_EQ(to_string(Bytes{1023}), "1023 B");
  EXPECT_EQ(to_string(1_KiB), "1 KiB");
  EXPECT_EQ(to_string(1536_MiB), "1.5 GiB");
  EXPECT_EQ(to_string(Bytes{1'234'567}), "1.18 MiB");
  EXPECT_EQ(to_string(Bytes{(1ULL << 30) - 1}), "1 GiB");
  EXPECT_EQ(to_string(Bytes{18446744073709551615ULL}), "16384 PiB");
}

TEST(Bytes, ReadsBackWhatItPrints) {
  for (const Bytes bytes : {0_KiB, 3_KiB, 5_MiB, 1280_MiB, 7_TiB}) {
    EXPECT_EQ(parse_bytes(to_string(bytes)), bytes);
  }
}

TEST(Durations, Parses) {
  EXPECT_EQ(parse_duration("0"), 0ns);
  EXPECT_EQ(parse_duration("5ns"), 5ns);
  EXPECT_EQ(parse_duration("5us"), 5us);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("3s"), 3s);
  EXPECT_EQ(parse_duration("1.5 s"), 1500ms);
  EXPECT_EQ(parse_duration("10min"), 10min);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1h 30min"), 90min);
  EXPECT_EQ(parse_duration("2min5s"), 125s);
}

TEST(Durations, Refuses) {
  for (const char* text : {"", "60", "0.5", "s", "-3s", "3 sec", "3S", "1h 30", "0 5s", "3s,"}) {
    EXPECT_THAT([&] { parse_duration(text); },
                ThrowsMessage<ConfigError>(HasSubstr("is not a duration; write a number and")))
        << text;
  }
  for (const char* text : {"2562048h", "99999999999999999999s", "2562047h 2562047h"}) {
    EXPECT_THAT([&] { parse_duration(text); },
                ThrowsMessage<ConfigError>(HasSubstr("is too long a duration")))
        << text;
  }
}

TEST(Durations, PrintsOneOrTwoUnits) {
  EXPECT_EQ(to_string(Duration(0)), "0 ns");
  EXPECT_EQ(to_string(Duration(1500)), "1.5 us");
  EXPECT_EQ(to_string(Duration(850ms)), "850 ms");
  EXPECT_EQ(to_string(Duration(1250ms)), "1.25 s");
  EXPECT_EQ(to_string(Duration(999'999'999)), "1 s");
  EXPECT_EQ(to_string(Duration(59'999ms)), "1 min");
  EXPECT_EQ(to_string(Duration(125s)), "2 min 5 s");
  EXPECT_EQ(to_string(Duration(63min)), "1 h 3 min");
  EXPECT_EQ(to_string(Duration(24h)), "24 h");
  EXPECT_EQ(to_string(Duration(-3s)), "-3 s");
  EXPECT_EQ(to_string(Duration::min()), "-2562047 h 47 min");
}

TEST(Durations, ReadsBackWhatItPrints) {
  for (const Duration time : {Duration(7ns), Duration(10s), Duration(125s), Duration(63min)}) {
    EXPECT_EQ(parse_duration(to_string(time)), time);
  }
}

}  // namespace
}  // namespace varve
