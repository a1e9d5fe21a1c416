// Source info is where an element's sources come from: %{source-info} of `show`, as each kind's
// Source.collect_source_info() of BuildStream 2.8 and its plugins tells it. What a kind says is in
// its KIND/info.cc.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace sluice::sources {

// BuildStream's SourceInfo. "" leaves a field out, but for `version`.
struct Info {
  std::string url, medium, version_type, version, guess;
  model::NodeMap extra;
  // The `provenance` of a plugin that says it of each of its parts; kNull: that of the source.
  model::Node provenance = {};
  // What the package is called elsewhere (purl.h), where the kind knows that; no part of what `show`
  // prints.
  std::string purl = {};
};
using Infos = Result<std::vector<Info>>;

struct InfoRow {
  std::string_view kind;
  Infos (*info)(const model::Source& source) = nullptr;
};
std::span<const InfoRow> info_rows();

// The info of one source. `ask` asks the plugin of one that has it. Errors: as source_info().
Infos infos_of(const model::Source& source, const std::function<Infos(const model::Source&)>& ask);

// The info of all sources as a list of maps, one or more for each. `ask` asks the plugin of a
// source that has one. ("app", "unsupported") names a kind of which this isn't known.
Result<model::Node> source_info(const std::vector<model::Source>& sources,
                                const std::function<Infos(const model::Source&)>& ask);

// utils.guess_version(): of all matches of the pattern in the text the first with the most groups,
// its groups joined by dots. "": there is none. ("app", "bad-pattern") for what isn't understood:
// patterns are ECMAScript's, which are written as Python's are but for named groups, lookbehind and
// flags.
Result<std::string> guess_version(const std::string& text, const std::string& pattern);

// What the pattern, of the same sort, matches first in the text: its groups joined by dots, all of
// it where it has none. "": nothing. ("app", "bad-pattern") also for a group that matched nothing.
Result<std::string> match_version(const std::string& text, const std::string& pattern);

// The version that the source says it is, or else what `text` lets guess.
Result<std::string> version_of(const model::Source& source, const std::string& text);
// The info of kinds that download one file, and of those whose files the project has.
Infos download_info(const model::Source& source);
Infos content_info(const model::Source& source, std::string url, std::string medium);
// The info of a commit, as `ref` says it. "commit-offset" is in it unless that is 0.
Infos commit_info(const model::Source& source, const std::string& ref);
// The same with the name of the tag and the distance from it, be it 0.
Infos described_commit_info(const model::Source& source, const std::string& ref);

}  // namespace sluice::sources
