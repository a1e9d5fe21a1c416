// Server-sent events (HTML standard, "text/event-stream").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::renderer {

// One event. `type` "": "message"; `id` "": the browser keeps the last one. Data of several lines
// arrives as it is; a carriage return ends a line, too.
std::string stream_event(std::string_view type, std::string_view id, std::string_view data);
// What keeps a connection from being taken for dead.
inline constexpr std::string_view kStreamBeat = ":\n\n";

// A Last-Event-ID, or any other decimal number; nothing for what is none, or has more than 64 bits.
std::optional<std::uint64_t> stream_position(std::string_view text);

}  // namespace sluice::renderer
