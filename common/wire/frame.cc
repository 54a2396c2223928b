#include "common/wire/frame.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <cstring>

namespace varve {
namespace {

constexpr std::uint32_t kMagic = 0x31565256;  // "VRV1"
constexpr std::size_t kCheckedHeaderBytes = 12;

std::uint32_t checksum(std::span<const std::byte> header, std::span<const std::byte> payload) {
  boost::crc_32_type crc;
  crc.process_bytes(header.data(), kCheckedHeaderBytes);
  crc.process_bytes(payload.data(), payload.size());
  return crc.checksum();
}

}  // namespace

struct FrameParser::Header {
  std::uint32_t magic = kMagic;
  std::uint32_t size = 0;
  std::uint32_t kind = 0;
  std::uint32_t crc = 0;
};

std::vector<std::byte> encode_frame(std::uint32_t kind, std::span<const std::byte> payload) {
  VARVE_CHECK(payload.size() <= kMaxFramePayload, "a frame of {} bytes, at most {} allowed",
              payload.size(), kMaxFramePayload);
  const std::uint32_t head[3] = {kMagic, static_cast<std::uint32_t>(payload.size()), kind};
  std::vector<std::byte> bytes(kFrameHeaderBytes + payload.size());
  std::memcpy(bytes.data(), head, sizeof head);
  std::copy(payload.begin(), payload.end(), bytes.begin() + kFrameHeaderBytes);
  const std::uint32_t crc = checksum(bytes, payload);
  std::memcpy(bytes.data() + kCheckedHeaderBytes, &crc, sizeof crc);
  return bytes;
}

void FrameParser::feed(std::span<const std::byte> bytes) {
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
  used_ = 0;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void FrameParser::check_magic() const {
  const std::size_t n = std::min(rest().size(), sizeof kMagic);
  if (n > 0 && std::memcmp(rest().data(), &kMagic, n) != 0) {
    throw PeerError("malformed frame: it does not start with \"VRV1\"");
  }
}

FrameParser::Header FrameParser::read_header() const {
  Header header;
  static_assert(sizeof header == kFrameHeaderBytes);
  std::memcpy(&header, rest().data(), sizeof header);
  if (header.size > max_payload_) {
    throw PeerError(fmt::format("malformed frame: a payload of {} bytes, at most {} allowed",
                                header.size, max_payload_));
  }
  return header;
}

std::optional<Frame> FrameParser::next() {
  check_magic();
  if (rest().size() < kFrameHeaderBytes) return std::nullopt;
  const Header header = read_header();
  if (rest().size() < kFrameHeaderBytes + header.size) return std::nullopt;
  const auto payload = rest().subspan(kFrameHeaderBytes, header.size);
  if (checksum(rest(), payload) != header.crc) {
    throw PeerError("malformed frame: its checksum does not match");
  }
  Frame frame{header.kind, {payload.begin(), payload.end()}};
  used_ += kFrameHeaderBytes + header.size;
  return frame;
}

}  // namespace varve
