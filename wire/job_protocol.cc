#include "wire/job_protocol.h"

namespace sluice::wire {

std::string frame(const std::string& body) {
  std::string out;
  out.reserve(body.size() + 4);
  const auto size = static_cast<std::uint32_t>(body.size());
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((size >> shift) & 0xff);
  out += body;
  return out;
}

Result<std::optional<std::string>> FrameReader::next() {
  if (buffer_.size() < 4) return std::nullopt;
  std::uint32_t size = 0;
  for (int i = 3; i >= 0; --i)
    size = (size << 8) | static_cast<unsigned char>(buffer_[static_cast<std::size_t>(i)]);
  if (size > limit_) return fail("wire", "malformed", "a frame is longer than its limit");
  if (buffer_.size() < 4 + static_cast<std::size_t>(size)) return std::nullopt;
  std::string body = buffer_.substr(4, size);
  buffer_.erase(0, 4 + static_cast<std::size_t>(size));
  return body;
}

}  // namespace sluice::wire
