#include "common/wire/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace varve {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Frame frame_of(const std::vector<std::byte>& bytes) {
  FrameParser parser;
  parser.feed(bytes);
  return parser.next().value();
}

TEST(ControlMessage, HelloComesBack) {
  const Hello hello =
      decode_hello(frame_of(encode_control(Hello{kControlVersion, "abc", 3, "node-a", 77})));
  EXPECT_EQ(hello.token, "abc");
  EXPECT_EQ(hello.rank, 3u);
  EXPECT_EQ(hello.host, "node-a");
  EXPECT_EQ(hello.pid, 77u);
}

TEST(ControlMessage, HeartbeatComesBack) {
  const Heartbeat sent{{ActivityKind::kSending, 417, 2, 1500}, {100, 200, 300, 400}};
  const Heartbeat got = decode_heartbeat(frame_of(encode_control(sent)));
  EXPECT_EQ(got.activity.kind, ActivityKind::kSending);
  EXPECT_EQ(got.activity.step, 417u);
  EXPECT_EQ(got.activity.peer, 2u);
  EXPECT_EQ(got.activity.since_ms, 1500u);
  EXPECT_EQ(got.status.rows_done, 100u);
  EXPECT_EQ(got.status.busy_ns, 200u);
  EXPECT_EQ(got.status.elapsed_ns, 300u);
  EXPECT_EQ(got.status.kv_bytes, 400u);
}

TEST(ControlMessage, AnotherVersionIsNamedWhateverFollows) {
  const std::uint32_t version = 9;
  ArchiveWriter writer;
  auto value = version;
  writer(value);
  const Frame frame{static_cast<std::uint32_t>(ControlKind::kHello), writer.take()};
  EXPECT_THAT([&] { decode_hello(frame); },
              ThrowsMessage<PeerError>(HasSubstr("version 9, this build speaks 1")));
}

TEST(ControlMessage, AnotherKindIsRefused) {
  const Frame frame = frame_of(encode_control(Goodbye{}));
  EXPECT_THAT([&] { decode_hello(frame); },
              ThrowsMessage<PeerError>(HasSubstr("goodbye where hello was due")));
}

TEST(ControlMessage, TruncatedAndOverlongAreRefused) {
  Frame frame = frame_of(encode_control(Abort{ExitCode::kRankLost, "rank 1 died"}));
  frame.payload.push_back(std::byte{0});
  EXPECT_THAT([&] { decode_control<Abort>(frame); },
              ThrowsMessage<PeerError>(HasSubstr("malformed abort message: 1 bytes too many")));
  for (int i = 0; i < 2; ++i) frame.payload.pop_back();
  EXPECT_THROW(decode_control<Abort>(frame), PeerError);
}

TEST(ControlMessage, UnknownActivityIsRefused) {
  Heartbeat beat;
  beat.activity.kind = static_cast<ActivityKind>(12);
  const Frame frame = frame_of(encode_control(beat));
  EXPECT_THAT([&] { decode_heartbeat(frame); }, ThrowsMessage<PeerError>(HasSubstr("activity 12")));
}

TEST(ControlMessage, ActivitiesReadWell) {
  EXPECT_EQ(describe({ActivityKind::kStarting, kNoStep, kNoRank}), "starting");
  EXPECT_EQ(describe({ActivityKind::kPreparing, kNoStep, kNoRank}), "reading the document");
  EXPECT_EQ(describe({ActivityKind::kWaitingOrders, kNoStep, kNoRank}), "waiting for its orders");
  EXPECT_EQ(describe({ActivityKind::kLoading, kNoStep, kNoRank}), "loading its weights");
  EXPECT_EQ(describe({ActivityKind::kWaitingStep, kNoStep, kNoRank}), "waiting for a step");
  EXPECT_EQ(describe({ActivityKind::kWaitingStep, kNoStep, 0}), "waiting for a step from rank 0");
  EXPECT_EQ(describe({ActivityKind::kComputing, 12, kNoRank}), "computing step 12");
  EXPECT_EQ(describe({ActivityKind::kComputing, kNoStep, kNoRank}), "computing");
  EXPECT_EQ(describe({ActivityKind::kReceiving, 417, 1}),
            "receiving activations of step 417 from rank 1");
  EXPECT_EQ(describe({ActivityKind::kSending, 417, 2}),
            "sending activations of step 417 to rank 2");
  EXPECT_EQ(describe({ActivityKind::kSampling, 0, kNoRank}), "sampling the tokens of step 0");
  EXPECT_EQ(describe({ActivityKind::kReporting, kNoStep, kNoRank}), "reporting its results");
  EXPECT_EQ(describe({ActivityKind::kIdle, kNoStep, kNoRank}), "idle");
  EXPECT_EQ(describe({ActivityKind::kDone, kNoStep, kNoRank}), "done");
}

TEST(ControlMessage, OneLineIsOneLine) {
  EXPECT_EQ(one_line("a\nb\tc\x1b[31m\n\n", 100), "a b c [31m");
  EXPECT_EQ(one_line("abcdef", 6), "abcdef");
  EXPECT_EQ(one_line("abcdef", 5), "abcde ...");
  EXPECT_EQ(one_line("ab\xc3\xa9", 3), "ab ...") << "half a character";
  EXPECT_EQ(one_line("", 5), "");
}

TEST(ControlMessage, OnlyKnownFailureCodesPass) {
  EXPECT_EQ(failure_code(ExitCode::kReceipt), ExitCode::kReceipt);
  EXPECT_EQ(failure_code(ExitCode::kTerminated), ExitCode::kTerminated);
  EXPECT_EQ(failure_code(ExitCode::kDone), ExitCode::kOther);
  EXPECT_EQ(failure_code(static_cast<ExitCode>(77)), ExitCode::kOther);
}

}  // namespace
}  // namespace varve
