#include "renderer/web/event_stream.h"

#include <algorithm>
#include <charconv>

namespace sluice::renderer {

std::string stream_event(std::string_view type, std::string_view id, std::string_view data) {
  std::string out;
  const auto field = [&](std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += '\n';
  };
  if (!type.empty()) field("event", type);
  if (!id.empty()) field("id", id);
  while (true) {
    const std::size_t end = std::min(data.find_first_of("\r\n"), data.size());
    field("data", data.substr(0, end));
    if (end == data.size()) break;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  return out + '\n';
}

std::optional<std::uint64_t> stream_position(std::string_view text) {
  std::uint64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last) return {};
  return value;
}

}  // namespace sluice::renderer
