// Comparisons of key inputs in words and as JSON.
#include "cli/comparison_report.h"

#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/format.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownNames = 5;

const std::map<std::string_view, std::string_view> kWords = {
    {"source", "source"},
    {"config", "configuration"},
    {"environment", "environment"},
    {"public", "public data"},
    {"sandbox", "sandbox"},
    {"kind", "kind"},
    {"build-root", "build-root"},
    {"plugin-version", "version of its kind"},
    {"format", "version of the artifact format"},
    {"fatal-warnings", "fatal-warnings of the project"},
};

class Text {
 public:
  explicit Text(std::size_t key_length) : key_length_(key_length) {}

  void changes(const Comparison& c, std::size_t indent) {
    for (std::size_t i = 0; i < c.changes.size(); ++i) {
      const Change& change = c.changes[i];
      const auto word = kWords.find(change.what);
      line(indent, fmt::format("{}{}{}", word == kWords.end() ? change.what : word->second,
                               change.where.empty() ? "" : " ", change.where));
      if (const auto files = c.files.find(i);
          files != c.files.end() && !files->second.files.empty()) {
        for (const auto& file : files->second.files)
          line(indent + 1, fmt::format("{}: {}", file.how, file.path));
        if (files->second.more) line(indent + 1, "and more");
        continue;
      }
      for (const std::string& text : changed_lines(change)) {
        line(indent + 1, styled(text, {.color = text.starts_with("-") ? "red" : "green"}));
      }
    }
  }

  void comparison(const Comparison& c, std::size_t indent) {
    changes(c, indent);
    std::size_t keys = 0;
    for (const DependencyChange& change : c.dependencies) {
      if (change.how == "order") {
        line(indent, "dependencies are in another order");
      } else if (change.how != "key") {
        line(indent, fmt::format("dependency {}: {}", change.how, change.name));
      } else {
        ++keys;
      }
    }
    if (keys > 0) {
      std::string names;
      std::size_t shown = 0;
      for (const DependencyChange& change : c.dependencies) {
        if (change.how != "key" || ++shown > kShownNames) continue;
        names += fmt::format("{}{} {} -> {}", shown > 1 ? ", " : "", change.name,
                             key(change.before), key(change.after));
      }
      if (keys > kShownNames) names += fmt::format(" and {} more", keys - kShownNames);
      line(indent, keys == 1 ? "the key of a dependency changed: " + names
                             : fmt::format("the keys of {} dependencies changed: {}", keys, names));
    }
    if (!c.unknown.empty()) {
      std::string parts;
      for (const std::string& part : c.unknown)
        parts += (parts.empty() ? "" : ", ") + std::string(kWords.at(part));
      line(indent,
           "the artifact was not built by Sluice, or long ago, and doesn't say what it was made "
           "of; there may be changes in: " +
               parts);
    }
    if (!c.variables.empty()) {
      line(indent, "variables that differ, where changes may come from:");
      for (const Change& change : c.variables) {
        line(indent + 1, fmt::format("{}: {} -> {}", change.where,
                                     change.before ? "'" + *change.before + "'" : "none",
                                     change.after ? "'" + *change.after + "'" : "none"));
      }
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void line(std::size_t indent, std::string_view text) {
    out_ += std::string(indent * 2, ' ') + std::string(text) + "\n";
  }
  std::string key(const std::string& full) const { return brief(full, key_length_); }

  std::size_t key_length_;
  std::string out_;
};

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json json_of(const std::vector<Change>& changes) {
  Json list = Json::array();
  for (const Change& change : changes) {
    list.push_back({{"what", change.what},
                    {"where", change.where},
                    {"before", change.before ? Json(*change.before) : Json(nullptr)},
                    {"after", change.after ? Json(*change.after) : Json(nullptr)}});
  }
  return list;
}

}  // namespace

Json comparison_json(const Comparison& c) {
  Json changes = json_of(c.changes);
  for (const auto& [index, changed] : c.files) {
    Json files = Json::array();
    for (const auto& file : changed.files)
      files.push_back({{"path", file.path}, {"how", file.how}});
    changes[index]["files"] = std::move(files);
    changes[index]["more-files"] = changed.more;
  }
  Json dependencies = Json::array();
  for (const DependencyChange& change : c.dependencies) {
    dependencies.push_back({{"name", or_null(change.name)},
                            {"how", change.how},
                            {"before", or_null(change.before)},
                            {"after", or_null(change.after)}});
  }
  return {{"inputs-kept", c.inputs_kept},
          {"same-weak-key", c.same_weak_key},
          {"changes", std::move(changes)},
          {"variables", json_of(c.variables)},
          {"dependencies", std::move(dependencies)},
          {"unknown", c.unknown}};
}

std::string brief(const std::string& key, std::size_t length) {
  return key.empty() ? "?" : styled(key.substr(0, length), {.color = "yellow"});
}

std::string comparison_text(const Comparison& comparison, std::size_t key_length,
                            std::size_t indent) {
  Text text(key_length);
  text.comparison(comparison, indent);
  return text.take();
}

}  // namespace sluice::cli
