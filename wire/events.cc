#include "wire/events.h"

#include <fmt/format.h>

#include "base/credentials.h"

namespace sluice::wire {

std::string topic_of(std::string_view type) {
  std::string topic(type);
  for (char& c : topic) {
    if (c == '.') c = '/';
  }
  topic += '/';
  return topic;
}

std::string pack_head(const EventHead& given) {
  // Credentials are taken out, for records are kept, and shown to whoever attaches.
  const std::string text = without_credentials(given.text),
                    detail = without_credentials(given.detail);
  EventHead head = given;
  head.text = text;
  head.detail = detail;
  std::size_t count = 3;
  for (const auto text : {head.level, head.text, head.detail, head.outcome})
    count += text.empty() ? 0 : 1;
  count += head.elapsed != 0 ? 1 : 0;
  std::string out;
  out.reserve(128 + head.type.size() + head.level.size() + head.text.size() + head.detail.size() +
              head.outcome.size());
  Writer writer(out);
  const auto optional_text = [&](std::string_view name, std::string_view text) {
    if (text.empty()) return;
    writer.string(name);
    writer.string(text);
  };
  writer.map(count);
  writer.string("v");
  writer.unsigned_integer(kEventVersion);
  writer.string("type");
  writer.string(head.type);
  writer.string("time");
  writer.integer(head.time);
  optional_text("level", head.level);
  optional_text("text", head.text);
  optional_text("detail", head.detail);
  optional_text("outcome", head.outcome);
  if (head.elapsed != 0) {
    writer.string("elapsed");
    writer.integer(head.elapsed);
  }
  return out;
}

std::string pack_event(const EventHead& head, const std::vector<std::string_view>& sections) {
  const std::string own = pack_head(head);
  std::vector<std::string_view> parts;
  parts.reserve(1 + sections.size());
  parts.push_back(own);
  parts.insert(parts.end(), sections.begin(), sections.end());
  return join_maps(parts);
}

std::string subtasks_processed(std::size_t count, bool known, std::int64_t elapsed) {
  constexpr std::int64_t kDisplayLimit = 3'000'000'000;
  if (elapsed <= kDisplayLimit || count == 0) return {};
  return known ? fmt::format("{0} of {0} subtasks processed", count)
               : fmt::format("{} subtasks processed", count);
}

Result<Event> decode_event(std::string_view packed) { return decode<Event>(packed); }

Result<LogEvent> decode_log_event(std::string_view packed) { return decode<LogEvent>(packed); }

}  // namespace sluice::wire
