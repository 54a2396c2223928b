#include "common/wire/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace varve {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::byte> some_bytes(std::size_t n) {
  std::vector<std::byte> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(i * 37 + 11);
  return bytes;
}

TEST(Frame, ComesBackAsItWas) {
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4097}, kMaxFramePayload}) {
    FrameParser parser;
    parser.feed(encode_frame(7, some_bytes(size)));
    const auto frame = parser.next();
    ASSERT_TRUE(frame) << size;
    EXPECT_EQ(frame->kind, 7u);
    EXPECT_EQ(frame->payload, some_bytes(size));
    EXPECT_FALSE(parser.next());
  }
}

TEST(Frame, ComesByteByByte) {
  const auto bytes = encode_frame(3, some_bytes(33));
  FrameParser parser;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(parser.next()) << i;
    parser.feed(std::span(bytes).subspan(i, 1));
  }
  const auto frame = parser.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->payload, some_bytes(33));
}

TEST(Frame, SeveralInOnePieceAndHalfOfTheNext) {
  std::vector<std::byte> stream;
  for (std::uint32_t kind = 0; kind < 5; ++kind) {
    const auto frame = encode_frame(kind, some_bytes(kind * 13));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  FrameParser parser;
  parser.feed(std::span(stream).first(stream.size() - 1));
  for (std::uint32_t kind = 0; kind < 4; ++kind) EXPECT_EQ(parser.next().value().kind, kind);
  EXPECT_FALSE(parser.next());
  parser.feed(std::span(stream).last(1));
  EXPECT_EQ(parser.next().value().payload, some_bytes(52));
}

TEST(Frame, FirstWrongByteIsRefused) {
  FrameParser parser;
  parser.feed(some_bytes(1));
  EXPECT_THAT([&] { parser.next(); },
              ThrowsMessage<PeerError>(HasSubstr("does not start with \"VRV1\"")));
}

TEST(Frame, OversizedIsRefusedBeforeItsPayloadComes) {
  auto bytes = encode_frame(1, some_bytes(4097));
  bytes.resize(kFrameHeaderBytes);
  FrameParser parser(4096);
  parser.feed(bytes);
  EXPECT_THAT([&] { parser.next(); },
              ThrowsMessage<PeerError>(HasSubstr("4097 bytes, at most 4096 allowed")));
}

TEST(Frame, LimitCanBeRaised) {
  FrameParser parser(16);
  parser.feed(encode_frame(1, some_bytes(16)));
  EXPECT_TRUE(parser.next());
  parser.set_max_payload(17);
  parser.feed(encode_frame(1, some_bytes(17)));
  EXPECT_TRUE(parser.next());
}

// Whatever single bit flips, no other frame comes out: it is an error or still incomplete.
TEST(Frame, EveryFlippedBitIsNoticed) {
  const auto good = encode_frame(5, some_bytes(9));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    FrameParser parser;
    parser.feed(bad);
    try {
      EXPECT_FALSE(parser.next()) << "bit " << bit;
    } catch (const PeerError&) {
    }
  }
}

TEST(Frame, JunkNeverYieldsAFrame) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::byte> junk(random() % 64);
    std::generate(junk.begin(), junk.end(), [&] { return static_cast<std::byte>(random()); });
    FrameParser parser;
    parser.feed(junk);
    try {
      EXPECT_FALSE(parser.next());
    } catch (const PeerError&) {
    }
  }
}

TEST(Frame, TooLargeToSendIsABug) {
  EXPECT_THROW(encode_frame(1, some_bytes(kMaxFramePayload + 1)), std::logic_error);
}

}  // namespace
}  // namespace varve
