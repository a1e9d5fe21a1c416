// `artifact diff`: what differs between two artifacts, and between what their keys are made of. Its
// statuses are those of diff(1).
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/credentials.h"
#include "base/text.h"
#include "base/tool.h"
#include "base/try.h"
#include "cli/artifacts.h"
#include "cli/commands.h"
#include "cli/comparison.h"
#include "cli/comparison_report.h"
#include "cli/format.h"
#include "store/tree_diff.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::ordered_json;
using store::ArtifactInfo;
using store::TreeChange;

constexpr int kDiffers = 1;
constexpr int kTrouble = 2;

// Larger texts are told of, and not shown.
constexpr std::int64_t kMostText = std::int64_t{1} << 20;

// One of the two, and how it was found.
struct Side {
  ArtifactTargets targets;
  const ArtifactTarget& target() const { return targets.targets().front(); }
  const ArtifactInfo& artifact() const { return *target().artifact; }

  // The element of the project now, when the artifact is of what that is now.
  Result<std::optional<model::ElementBody>> body() const {
    if (!target().element) return std::optional<model::ElementBody>();
    const model::Element& element = targets.loaded()->snapshot.elements[*target().element];
    if (element.keys.weak != artifact().weak_key || element.body.empty())
      return std::optional<model::ElementBody>();
    return std::optional(TRY(wire::unpack_body(element.body)));
  }
};

Result<Side> find_side(Invocation& invocation, const std::string& name) {
  Side side{TRY(ArtifactTargets::resolve(invocation, {name}, "none"))};
  const auto& targets = side.targets.targets();
  if (targets.size() != 1) {
    std::string list;
    for (const ArtifactTarget& target : targets) list += target.full_name + "\n";
    return fail("app", "no-such-artifact",
                fmt::format("'{}' means {} artifacts; two are compared, one with the other", name,
                            targets.size()),
                {}, list);
  }
  if (!side.target().artifact)
    return fail("app", "not-cached",
                fmt::format("{} is not cached", side.target().ref.empty() ? side.target().full_name
                                                                          : side.target().ref));
  return side;
}

// The texts of two files as `diff -u` shows them; "" for what is none, or too long.
Result<std::string> text_difference(const store::Cas& cas, const TreeChange& change) {
  const auto is_file = [](const std::optional<store::DiffedEntry>& entry) {
    return entry && entry->type == store::EntryType::kFile && entry->digest.size <= kMostText;
  };
  if (!is_file(change.before) || !is_file(change.after) ||
      change.before->digest == change.after->digest)
    return std::string();
  const auto difference =
      TRY(store::first_difference(cas, change.before->digest, change.after->digest));
  if (difference.line == 0) return std::string();
  Tool tool;
  tool.argv = {"diff",
               "-u",
               "--label",
               "before/" + change.path,
               "--label",
               "after/" + change.path,
               cas.object_path(change.before->digest),
               cas.object_path(change.after->digest)};
  tool.errors = Tool::Errors::kApart;
  tool.max_output = 4 * static_cast<std::size_t>(kMostText);
  auto run = TRY(run_tool(tool, {}));
  if (run.status > kDiffers)
    return fail("app", "diff-failed",
                fmt::format("diff ended with status {} for {}", run.status, change.path), {},
                run.errors);
  return std::move(run.output);
}

Json json_of(const std::optional<store::DiffedEntry>& entry) {
  if (!entry) return nullptr;
  switch (entry->type) {
    case store::EntryType::kDirectory: return {{"type", "directory"}};
    case store::EntryType::kSymlink: return {{"type", "link"}, {"target", entry->target}};
    case store::EntryType::kFile: break;
  }
  return {{"type", "file"},
          {"mode", entry->executable ? "0755" : "0644"},
          {"size", entry->digest.size},
          {"sha256", entry->digest.hash}};
}

class Differ {
 public:
  Differ(const ArtifactDiffCommand& command, Side before, Side after)
      : command_(command), before_(std::move(before)), after_(std::move(after)) {}

  Status compare() {
    const store::Cas& cas = after_.targets.cas();
    same_outcome_ = before_.artifact().build_success == after_.artifact().build_success;
    CHECK(store::diff_trees(cas, before_.artifact().files, after_.artifact().files,
                            [&](const TreeChange& change) { return add(cas, change); }));
    if (before_.artifact().public_data != after_.artifact().public_data) {
      const auto old = TRY(store::read_public_data(cas, before_.artifact().public_data));
      const auto now = TRY(store::read_public_data(cas, after_.artifact().public_data));
      public_data_ = compare_nodes("public", old, now);
    }
    if (before_.artifact().strong_key == after_.artifact().strong_key) return {};
    const auto body = TRY(after_.body());
    keys_ =
        TRY(compare_artifacts(cas, before_.artifact(), after_.artifact(), body ? &*body : nullptr));
    return {};
  }

  bool same() const { return files_ == 0 && public_data_.empty() && same_outcome_; }

  std::string text() const {
    std::string out = head("before", before_) + head("after", after_);
    out += files_ == 0 ? "Files: the same\n" : fmt::format("Files: {} differ\n", files_);
    out += lines_;
    if (!public_data_.empty()) {
      Comparison comparison;
      comparison.changes = public_data_;
      out += "Public data:\n" + comparison_text(comparison, 0, 1);
    }
    if (!keys_) return out + "Key: the same\n";
    const std::string differences =
        comparison_text(*keys_, after_.targets.settings().key_length, 1);
    return out + "Key:\n" +
           (differences.empty() ? "  nothing that is known differs\n" : differences);
  }

  std::string json() const {
    Json document = {{"format", "sluice-artifact-diff/1"}, {"same", same()}};
    for (const auto& [name, side] : {std::pair("before", &before_), {"after", &after_}}) {
      document[name] = {{"name", side->target().full_name},
                        {"ref", side->target().ref},
                        {"key", side->artifact().strong_key},
                        {"weak-key", side->artifact().weak_key},
                        {"success", side->artifact().build_success}};
    }
    document["files"] = json_files_;
    Comparison comparison;
    comparison.changes = public_data_;
    document["public-data"] = comparison_json(comparison)["changes"];
    document["key"] = keys_ ? comparison_json(*keys_) : Json(nullptr);
    return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }

 private:
  std::string head(std::string_view word, const Side& side) const {
    const ArtifactInfo& artifact = side.artifact();
    return fmt::format("{:>6}: {} {}{}\n", word,
                       styled(side.target().full_name, {.color = "blue", .bold = 1}),
                       brief(artifact.strong_key, side.targets.settings().key_length),
                       artifact.build_success ? "" : " (its build failed)");
  }

  Status add(const store::Cas& cas, const TreeChange& change) {
    ++files_;
    std::string text;
    if (command_.text) text = TRY(text_difference(cas, change));
    if (!command_.json) {
      std::string line = store::text_of(cas, change);
      std::replace(line.begin(), line.end(), '\n', '?');  // of names
      const std::string_view color = !change.before ? "green" : !change.after ? "red" : "yellow";
      lines_ += "  " + styled(line, {.color = color}) + "\n" + indent(text, "    ");
      return {};
    }
    Json file = {{"path", change.path},
                 {"how", !change.before  ? "added"
                         : !change.after ? "removed"
                                         : "changed"},
                 {"aspects", change.aspects()},
                 {"before", json_of(change.before)},
                 {"after", json_of(change.after)}};
    const auto aspects = change.aspects();
    if (std::find(aspects.begin(), aspects.end(), "content") != aspects.end()) {
      if (auto at = store::first_difference(cas, change.before->digest, change.after->digest)) {
        file["first-difference"] = {{"byte", at->offset},
                                    {"line", at->line != 0 ? Json(at->line) : Json(nullptr)},
                                    {"place", at->place.empty() ? Json(nullptr) : Json(at->place)}};
      }
    }
    if (command_.text) file["diff"] = text.empty() ? Json(nullptr) : Json(text);
    json_files_.push_back(std::move(file));
    return {};
  }

  const ArtifactDiffCommand& command_;
  Side before_, after_;
  std::size_t files_ = 0;
  std::string lines_;
  Json json_files_ = Json::array();
  std::vector<Change> public_data_;
  std::optional<Comparison> keys_;  // none: they are the same
  bool same_outcome_ = true;
};

}  // namespace

int run_artifact_diff(Invocation& invocation, const ArtifactDiffCommand& command) {
  const auto in_trouble = [&](const Error& error) {
    (void)failed(invocation, error);
    return kTrouble;
  };
  auto before = find_side(invocation, command.before);
  if (!before) return in_trouble(before.error());
  auto after = find_side(invocation, command.after);
  if (!after) return in_trouble(after.error());
  Differ differ(command, std::move(*before), std::move(*after));
  if (auto compared = differ.compare(); !compared) return in_trouble(compared.error());
  std::string report = command.json ? differ.json() : differ.text();
  report = without_credentials(report);  // of URLs that are a part of keys
  if (!invocation.colors && !command.json) report = without_codes(report);
  if (auto written = print(report); !written) return in_trouble(written.error());
  return differ.same() ? kSuccess : kDiffers;
}

}  // namespace sluice::cli
