// Framing of messages over a byte stream: length, kind, checksum, payload. The reader is
// incremental and refuses junk with its first wrong byte, so a stranger on the port costs nothing.
//
// Layout, little-endian, 16 bytes before the payload:
//   u32 magic "VRV1" | u32 payload bytes | u32 kind | u32 CRC-32 (IEEE 802.3) of the 12 bytes
//   before and of the payload
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/error.h"

namespace varve {

inline constexpr std::size_t kFrameHeaderBytes = 16;
inline constexpr std::size_t kMaxFramePayload = std::size_t{1} << 20;

struct Frame {
  std::uint32_t kind = 0;
  std::vector<std::byte> payload;
};

/// The bytes of one frame. A payload over kMaxFramePayload is a bug.
std::vector<std::byte> encode_frame(std::uint32_t kind, std::span<const std::byte> payload);

/// Bytes in as they come, frames out. It holds at most one unfinished frame and what was fed last.
class FrameParser {
 public:
  explicit FrameParser(std::size_t max_payload = kMaxFramePayload) : max_payload_(max_payload) {}

  /// A bound for the frames whose header has not been read yet.
  void set_max_payload(std::size_t bytes) { max_payload_ = bytes; }
  void feed(std::span<const std::byte> bytes);
  /// The next whole frame, if there is one. PeerError at wrong magic, size or checksum; the stream
  /// has lost its frame boundaries then and every later call throws too.
  std::optional<Frame> next();

 private:
  struct Header;
  void check_magic() const;
  Header read_header() const;
  std::span<const std::byte> rest() const { return std::span(bytes_).subspan(used_); }

  std::size_t max_payload_;
  std::vector<std::byte> bytes_;
  std::size_t used_ = 0;  // bytes at the front that earlier frames consumed
};

}  // namespace varve
