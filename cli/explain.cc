// `explain`: why an element will be built (explanation.h), in words or as JSON.
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/credentials.h"
#include "base/fd.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/comparison_report.h"
#include "cli/explanation.h"
#include "cli/format.h"
#include "cli/load.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownNames = 5;

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
      out_ += comparison_text(*e_.comparison, key_length_, 1);
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
  std::string key(const std::string& full) const { return brief(full, key_length_); }

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
        out_ += comparison_text(cause.comparison, key_length_, 2);
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
    json["compared"].update(comparison_json(*e.comparison));
  }
  for (const Cause& cause : e.causes) {
    Json one = {{"element", cause.element},
                {"chain", cause.chain},
                {"what", cause.what},
                {"before", cause.before},
                {"after", or_null(cause.after)}};
    if (cause.what == "changed") one.update(comparison_json(cause.comparison));
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
