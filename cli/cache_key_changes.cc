#include "cli/cache_key_changes.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/json.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::json;

// Deeper differences are shown as a whole.
constexpr int kMostNesting = 50;

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct Differ {
  std::string what;
  std::vector<Change>& changes;

  void add(const std::string& where, const Json* before, const Json* after) {
    Change change{what, where, {}, {}, {}};
    if (before != nullptr) change.before = text_of(*before);
    if (after != nullptr) change.after = text_of(*after);
    changes.push_back(std::move(change));
  }

  void compare(const std::string& where, const Json& before, const Json& after, int depth = 0) {
    if (before == after) return;
    if (depth < kMostNesting && before.is_object() && after.is_object()) {
      maps(where, before, after, depth);
    } else if (depth < kMostNesting && before.is_array() && after.is_array()) {
      lists(where, before, after, depth);
    } else {
      add(where, &before, &after);
    }
  }

 private:
  void maps(const std::string& where, const Json& before, const Json& after, int depth) {
    std::map<std::string, int> keys;
    for (const auto& [key, value] : before.items()) keys[key];
    for (const auto& [key, value] : after.items()) keys[key];
    for (const auto& [key, unused] : keys) {
      const std::string path = where.empty() ? key : where + "." + key;
      const auto old = before.find(key);
      const auto now = after.find(key);
      if (old == before.end()) {
        add(path, nullptr, &*now);
      } else if (now == after.end()) {
        add(path, &*old, nullptr);
      } else {
        compare(path, *old, *now, depth + 1);
      }
    }
  }

  // What lies between a common beginning and end was changed one by one, put in or taken out.
  void lists(const std::string& where, const Json& before, const Json& after, int depth) {
    std::size_t begin = 0;
    std::size_t old_end = before.size();
    std::size_t new_end = after.size();
    while (begin < old_end && begin < new_end && before[begin] == after[begin]) ++begin;
    while (old_end > begin && new_end > begin && before[old_end - 1] == after[new_end - 1]) {
      --old_end;
      --new_end;
    }
    const auto place = [&](std::size_t index) { return fmt::format("{}[{}]", where, index); };
    std::size_t i = begin;
    for (; i < std::min(old_end, new_end); ++i) compare(place(i), before[i], after[i], depth + 1);
    for (std::size_t old = i; old < old_end; ++old) add(place(old), &before[old], nullptr);
    for (std::size_t now = i; now < new_end; ++now) add(place(now), nullptr, &after[now]);
  }
};

// The field of a source that a value of its key stands for.
std::string field_of(const model::Source& source, const std::string& value) {
  if (!source.local_digest.empty() && value == source.local_digest.hash) {
    return "content of " + source.config.get_string("path", source.path);
  }
  if (value == source.ref_text() || value == source.ref.get_string("ref")) return "ref";
  for (const auto& [name, node] : source.config.map) {
    if (node.is_scalar() && !value.empty() && node.scalar == value) return name;
  }
  if (!value.empty() && value == source.original_url) return "url";
  return "";
}

void compare_sources(const Json& before, const Json& after, const model::ElementBody& now,
                     std::vector<Change>& changes) {
  if (!before.is_array() || !after.is_array()) {
    Differ{"source", changes}.compare("", before, after);
    return;
  }
  const auto name = [](std::size_t index, const Json& source) {
    return fmt::format("{} ({})", index + 1,
                       source.is_object() ? source.value("name", Json("?")).dump() : "?");
  };
  const auto plain = [&](std::size_t index, const Json& source) {
    std::string text = name(index, source);
    std::erase(text, '"');
    return text;
  };
  const std::size_t both = std::min(before.size(), after.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (before[i] == after[i]) continue;
    const std::string place = plain(i, after[i]);
    if (!before[i].is_object() || !after[i].is_object() ||
        before[i].value("name", Json()) != after[i].value("name", Json())) {
      changes.push_back({"source", place, text_of(before[i]), text_of(after[i]), {}});
      continue;
    }
    std::vector<Change> own;
    Differ differ{"source", own};
    differ.compare("directory", before[i].value("directory", Json("")),
                   after[i].value("directory", Json("")));
    differ.compare("key", before[i].value("key", Json()), after[i].value("key", Json()));
    for (Change& change : own) {
      std::string field;
      if (change.after && i < now.sources.size()) {
        field = field_of(now.sources[i], *change.after);
        if (*change.after == now.sources[i].local_digest.hash) change.path = now.sources[i].path;
      }
      change.where = place + ": " + (field.empty() ? change.where : field);
      changes.push_back(std::move(change));
    }
  }
  for (std::size_t i = both; i < before.size(); ++i)
    changes.push_back({"source", plain(i, before[i]), text_of(before[i]), {}, {}});
  for (std::size_t i = both; i < after.size(); ++i)
    changes.push_back({"source", plain(i, after[i]), {}, text_of(after[i]), {}});
}

// The parts of a key, in the order in which their changes are told.
constexpr std::pair<const char*, const char*> kParts[] = {
    {"element-plugin-name", "kind"},
    {"element-plugin-version", "plugin-version"},
    {"core-artifact-version", "format"},
    {"element-base-key", "build-root"},
    {"element-plugin-key", "config"},
    {"environment", "environment"},
    {"sandbox", "sandbox"},
    {"public", "public"},
    {"fatal-warnings", "fatal-warnings"},
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (true) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos || end + 1 == text.size()) return lines;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<std::vector<Change>> compare_key_inputs(std::string_view before_text,
                                               std::string_view after_text,
                                               const model::ElementBody& now) {
  const Json before = parse_json(before_text);
  const Json after = parse_json(after_text);
  if (!before.is_object() || !after.is_object())
    return fail("app", "bad-key-inputs", "What a key was made of can't be read");
  std::vector<Change> changes;
  const auto part = [](const Json& all, const char* key) { return all.value(key, Json()); };
  compare_sources(part(before, "sources"), part(after, "sources"), now, changes);
  for (const auto& [key, what] : kParts) {
    const Json old = part(before, key);
    const Json fresh = part(after, key);
    Differ differ{what, changes};
    if (old.is_null() || fresh.is_null()) {
      // Kinds that run no commands have neither environment nor sandbox.
      if (old != fresh)
        differ.add("", old.is_null() ? nullptr : &old, fresh.is_null() ? nullptr : &fresh);
    } else if (std::string_view(what) == "build-root") {
      differ.compare("", part(old, "build-root"), part(fresh, "build-root"));
    } else {
      differ.compare("", old, fresh);
    }
  }
  return changes;
}

std::vector<Change> compare_maps(const std::string& what, const model::StringMap& before,
                                 const model::StringMap& after) {
  std::vector<Change> changes;
  std::map<std::string, std::pair<const std::string*, const std::string*>> names;
  for (const auto& [name, value] : before) names[name].first = &value;
  for (const auto& [name, value] : after) names[name].second = &value;
  for (const auto& [name, values] : names) {
    const auto& [old, now] = values;
    if (old != nullptr && now != nullptr && *old == *now) continue;
    Change change{what, name, {}, {}, {}};
    if (old != nullptr) change.before = *old;
    if (now != nullptr) change.after = *now;
    changes.push_back(std::move(change));
  }
  return changes;
}

std::vector<Change> compare_nodes(const std::string& what, const model::Node& before,
                                  const model::Node& after) {
  std::vector<Change> changes;
  const auto as_it_is = [](const std::string& text) { return text; };
  Differ{what, changes}.compare("", json_of<Json>(before, as_it_is),
                                json_of<Json>(after, as_it_is));
  return changes;
}

std::vector<std::string> changed_lines(const Change& change) {
  std::vector<std::string> out;
  std::vector<std::string_view> before;
  std::vector<std::string_view> after;
  if (change.before) before = lines_of(*change.before);
  if (change.after) after = lines_of(*change.after);
  std::size_t begin = 0;
  std::size_t same = 0;  // at the end
  while (begin < before.size() && begin < after.size() && before[begin] == after[begin]) ++begin;
  while (same < before.size() - begin && same < after.size() - begin &&
         before[before.size() - 1 - same] == after[after.size() - 1 - same])
    ++same;
  // The texts differ by a newline at the end alone.
  if (begin == before.size() && begin == after.size()) begin = same = 0;
  for (std::size_t i = begin; i < before.size() - same; ++i)
    out.push_back(fmt::format("- {}", before[i]));
  for (std::size_t i = begin; i < after.size() - same; ++i)
    out.push_back(fmt::format("+ {}", after[i]));
  return out;
}

}  // namespace sluice::cli
