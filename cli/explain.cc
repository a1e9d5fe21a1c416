// `explain`: why an element will be built (explanation.h), in words or as JSON.
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/credentials.h"
#include "base/fd.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/explanation.h"
#include "cli/format.h"
#include "cli/load.h"

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

class Writer {
 public:
  Writer(const Explanation& explanation, const model::Settings& settings)
      : e_(explanation), key_length_(settings.key_length), retry_failed_(settings.retry_failed) {}

  std::string text() {
    const std::string name = styled(e_.element, {.color = "blue", .bold = 1});
    verdict(name);
    if (e_.comparison) {
      line(0, fmt::format("Compared with {}, {}:", key(e_.compared_key),
                          !e_.compared_success      ? "an artifact of a build that failed"
                          : e_.verdict == "changed" ? "the newest artifact in the cache"
                                                    : "an artifact in the cache"));
      comparison(*e_.comparison, 1);
      const bool nothing = !e_.comparison->own() && e_.comparison->dependencies.empty();
      if (nothing) line(1, "nothing differs");
      if (!e_.comparison->own() && !nothing) {
        line(1,
             e_.strict
                 ? "only keys of dependencies changed: with --no-strict it could be used as it is"
                 : "only keys of dependencies changed");
      }
      causes();
    }
    return std::move(out_);
  }

 private:
  void line(std::size_t indent, std::string_view text) {
    out_ += std::string(indent * 2, ' ') + std::string(text) + "\n";
  }
  std::string key(const std::string& full) const {
    return full.empty() ? "?" : styled(full.substr(0, key_length_), {.color = "yellow"});
  }

  void verdict(const std::string& name) {
    if (e_.verdict == "no-artifact") {
      line(0, name + " is never built: its kind makes no artifact.");
    } else if (e_.verdict == "no-reference") {
      line(0, name + " can't be built: a source of it has no ref. Track it first.");
    } else if (e_.verdict == "unsupported") {
      line(0, name + " can't be built: " + e_.detail);
    } else if (e_.verdict == "unknown-key") {
      line(0,
           fmt::format(
               "{} can't be built yet: its key depends on elements whose sources have no ref: {}",
               name, e_.detail));
    } else if (e_.verdict == "cached") {
      line(0, fmt::format("{} will not be built: {} is in the cache.", name, key(e_.key)));
    } else if (e_.verdict == "failed") {
      line(0, retry_failed_
                  ? fmt::format("{} will be built again: its build failed, which is in the cache "
                                "as {}, and the user's configuration says retry-failed.",
                                name, key(e_.key))
                  : fmt::format("{} will not be built: its build failed, and that is in the cache "
                                "as {}. --retry-failed builds it again.",
                                name, key(e_.key)));
      line(1, e_.detail);
    } else if (e_.verdict == "incomplete") {
      line(
          0,
          fmt::format(
              "{} will be built: parts of its artifact {} are no longer in the cache ({} missing).",
              name, key(e_.key), e_.detail));
    } else if (e_.verdict == "never-built") {
      line(0, fmt::format("{} will be built as {}: the cache has no artifact of it at all.", name,
                          key(e_.key)));
    } else {
      line(0, fmt::format("{} will be built as {}.", name, key(e_.key)));
    }
  }

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

  // Elements with the same reason are told of together.
  void causes() {
    if (e_.causes.empty()) return;
    line(0, "What changed the keys of dependencies:");
    std::vector<std::pair<std::string, std::vector<const Cause*>>> groups;
    for (const Cause& cause : e_.causes) {
      std::string before;
      std::swap(before, out_);
      if (cause.what == "gone") {
        line(2, fmt::format("unknown: its artifact {} is not in the cache any more",
                            key(cause.before)));
      } else {
        comparison(cause.comparison, 2);
      }
      std::swap(before, out_);
      const auto same = std::find_if(groups.begin(), groups.end(),
                                     [&](const auto& group) { return group.first == before; });
      if (same == groups.end()) {
        groups.push_back({before, {&cause}});
      } else {
        same->second.push_back(&cause);
      }
    }
    for (const auto& [text, members] : groups) {
      for (std::size_t i = 0; i < std::min(members.size(), kShownNames); ++i) {
        std::string chain;
        for (const std::string& name : members[i]->chain)
          chain += (chain.empty() ? "" : " -> ") + name;
        line(1, fmt::format("{}  ({})", styled(members[i]->element, {.color = "blue", .bold = 1}),
                            chain));
      }
      if (members.size() > kShownNames)
        line(1, fmt::format("and {} more", members.size() - kShownNames));
      out_ += text;
    }
  }

  const Explanation& e_;
  std::size_t key_length_;
  bool retry_failed_;
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

Json json_of(const Comparison& c) {
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

std::string json_text(const Explanation& e) {
  Json json = {{"format", "sluice-explanation/1"},
               {"element", e.element},
               {"verdict", e.verdict},
               {"detail", or_null(e.detail)},
               {"key", or_null(e.key)},
               {"weak-key", or_null(e.weak_key)},
               {"strict", e.strict},
               {"compared", nullptr},
               {"causes", Json::array()}};
  if (e.comparison) {
    json["compared"] = {{"key", e.compared_key}, {"success", e.compared_success}};
    json["compared"].update(json_of(*e.comparison));
  }
  for (const Cause& cause : e.causes) {
    Json one = {{"element", cause.element},
                {"chain", cause.chain},
                {"what", cause.what},
                {"before", cause.before},
                {"after", or_null(cause.after)}};
    if (cause.what == "changed") one.update(json_of(cause.comparison));
    json["causes"].push_back(std::move(one));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

int run_explain(Invocation& invocation, const ExplainCommand& command) {
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.targets = {command.element};
  arguments.what.deps = "none";
  arguments.wanted.builds = true;  // its keys are those that a build would use
  arguments.wanted.bodies = false;
  auto loaded = load_once(arguments);
  if (!loaded) return failed(invocation, loaded.error());
  for (const auto& warning : loaded->snapshot.warnings) invocation.report.warning(warning);
  if (loaded->selection.size() != 1) {
    return failed(invocation, {"app",
                               "no-element",
                               fmt::format("'{}' means {} elements; one can be explained at a time",
                                           command.element, loaded->selection.size()),
                               {},
                               {}});
  }
  auto states = States::open(loaded->snapshot);
  if (!states) return failed(invocation, states.error());
  const auto load_bodies = [&](const std::vector<model::ElementIndex>& wanted) -> Status {
    auto& elements = loaded->snapshot.elements;
    arguments.wanted.bodies = arguments.wanted.key_inputs = true;
    for (const model::ElementIndex index : wanted)
      arguments.wanted.bodies_of.push_back(elements[index].full_name);
    auto again = TRY(load_once(arguments));
    auto& with = again.snapshot.elements;
    for (const model::ElementIndex index : wanted) {
      if (index >= with.size() || with[index].full_name != elements[index].full_name ||
          with[index].keys.weak != elements[index].keys.weak) {
        return fail("app", "project-changed",
                    "The project was changed while it was read; try again");
      }
      elements[index].body = std::move(with[index].body);
    }
    return {};
  };
  auto explanation =
      explain(loaded->snapshot, **states, loaded->selection.front(), command.against, load_bodies);
  if (!explanation) return failed(invocation, explanation.error());
  (*states)->save();
  std::string report = command.json ? json_text(*explanation)
                                    : Writer(*explanation, loaded->snapshot.settings).text();
  report = without_credentials(report);  // of URLs that are a part of keys
  if (!invocation.colors && !command.json) report = without_codes(report);
  if (auto written = print(report); !written) return failed(invocation, written.error());
  return kSuccess;
}

}  // namespace sluice::cli
