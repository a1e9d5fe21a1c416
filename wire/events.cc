#include "wire/events.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/text.h"

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
  for (const auto text : {head.level, head.text, head.detail, head.outcome, head.origin})
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
  optional_text("origin", head.origin);
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

namespace {

struct Cut {
  std::size_t text, items;  // bytes of a text, entries of a list
};

void write_cut(Writer& writer, const Value& value, const Cut& cut) {
  std::string_view text;
  if (value.get_string(text) && text.size() > cut.text) {
    std::string shorter(text);
    limit_text(shorter, cut.text);
    writer.string(shorter);
  } else if (value.get_binary(text) && text.size() > cut.text) {
    writer.binary(text.substr(0, cut.text));
  } else if (value.is_array()) {
    std::size_t left = std::min(value.size(), cut.items);
    writer.array(left);
    for (const Value item : value.items()) {
      if (left-- == 0) break;
      write_cut(writer, item, cut);
    }
  } else if (value.is_map()) {
    writer.map(value.size());
    for (const auto& [key, inner] : value.entries()) {
      writer.raw(key.packed());
      write_cut(writer, inner, cut);
    }
  } else {
    writer.raw(value.packed());
  }
}

// More of each until it fits.
constexpr Cut kCuts[] = {
    {1u << 20, SIZE_MAX}, {64u << 10, SIZE_MAX}, {4096, SIZE_MAX}, {1024, 16384}, {256, 1024}};

}  // namespace

std::string fit_event(std::string packed, std::size_t most) {
  if (packed.size() <= most) return packed;
  Limits limits;
  limits.bytes = limits.items = limits.string = limits.values = SIZE_MAX;
  const auto document = Document::parse(packed, limits);
  EventHead head;
  if (document && document->root().is_map()) {
    const Value root = document->root();
    for (const Cut& cut : kCuts) {
      std::string out;
      Writer writer(out);
      writer.map(root.size() + 1);
      for (const auto& [key, value] : root.entries()) {
        writer.raw(key.packed());
        write_cut(writer, value, cut);
      }
      writer.string("cut");
      writer.unsigned_integer(packed.size());
      if (out.size() <= most) return out;
    }
    if (const Value type = root.find("type"); type.valid()) (void)type.get_string(head.type);
    if (const Value time = root.find("time"); time.valid()) (void)time.get(head.time);
  }
  const std::string text = fmt::format("An event of {} bytes was left out: a record has at most {}",
                                       packed.size(), most);
  head.level = "bug";
  head.text = text;
  return pack_head(head);
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
