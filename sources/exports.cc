#include "sources/exports.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/try.h"
#include "sources/crate.h"
#include "sources/infos.h"

namespace sluice::sources {

namespace {

model::Node scalar(std::string text) { return model::Node::make_scalar(std::move(text)); }

std::string last_name(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

Exports archive(const std::string& url, const std::string& sha256) {
  return {{model::Node::make_map(
              {{"type", scalar("archive")}, {"url", scalar(url)}, {"sha256", scalar(sha256)}})},
          {last_name(url)}};
}

Exports commit(const std::string& url, const std::string& ref) {
  return {{model::Node::make_map(
              {{"type", scalar("git")}, {"url", scalar(url)}, {"commit", scalar(ref)}})},
          {ref}};
}

Exports patches(std::string path) {
  return {{model::Node::make_map({{"type", scalar("patch")}, {"path", scalar(std::move(path))}})},
          {}};
}

// Adds the alias that the URL was written with, if it was.
void add_alias(model::Node& location, const std::string& written) {
  if (location.get_string("url").starts_with(written)) return;
  location.set("alias", scalar(written.substr(0, written.find(':'))));
}

Result<Exports> of_download(const model::Source& source) {
  return archive(source.url, source.ref_text());
}

Result<Exports> of_git(const model::Source& source) {
  return commit(source.url, source.ref.get_string("ref"));
}

// The collection's older kinds of git only have a commit, in which a version may be found.
Result<Exports> of_commit(const model::Source& source) { return Exports{{}, {source.ref_text()}}; }

Result<Exports> of_git_repo(const model::Source& source) {
  Exports exports = commit(source.url, source.ref_text());
  if (const std::string track = source.config.get_string("track"); !track.empty()) {
    model::NodeList refspecs;
    if (track.starts_with("refs/")) {
      refspecs = {scalar(track)};
    } else {
      refspecs = {scalar("refs/heads/" + track), scalar("refs/tags/" + track)};
    }
    exports.locations.front().set("refspecs", model::Node::make_list(std::move(refspecs)));
  }
  add_alias(exports.locations.front(), source.original_url);
  return exports;
}

// Each crate as the source of its own that it would be.
Result<Exports> of_cargo2(const model::Source& source) {
  Exports all;
  for (const Crate& crate : crates_of(source.ref)) {
    Exports exports = crate.is_git()
                          ? commit(repository_of(source, crate.repo).fetched, crate.commit)
                          : archive(crate_url(source, crate), crate.sha);
    model::Node& location = exports.locations.front();
    add_alias(location,
              crate.is_git() ? mirrored_git_url(source, crate.repo) : source.original_url);
    all.locations.push_back(std::move(location));
    all.versions.push_back(std::move(exports.versions.front()));
  }
  return all;
}

Result<Exports> of_go_module(const model::Source& source) {
  return commit(source.url, source.ref.get_string("git-ref"));
}

// The one file of the kinds that make its URL of several parts, which their info has together.
Result<Exports> of_file(const std::vector<Info>& infos, const std::string& written) {
  if (infos.empty()) return Exports{};
  Exports exports = archive(infos.front().url, infos.front().version);
  add_alias(exports.locations.front(), written);
  return exports;
}

Result<Exports> of_pypi(const model::Source& source) {
  return of_file(TRY(pypi::info(source)),
                 source.config.get_string("url", "https://files.pythonhosted.org/packages/"));
}

Result<Exports> of_cpan(const model::Source& source) {
  return of_file(TRY(cpan::info(source)),
                 source.config.get_string("index", "https://cpan.metacpan.org/"));
}

Result<Exports> of_patch(const model::Source& source) {
  return patches(last_name(source.config.get_string("path")));
}

Result<Exports> of_patch_queue(const model::Source& source) {
  std::string path = source.config.get_string("path");
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return patches(std::move(path));
}

struct Row {
  std::string_view kind;
  Result<Exports> (*exports)(const model::Source& source);
};

constexpr std::array kRows = {
    Row{"cargo2", of_cargo2},
    Row{"cpan", of_cpan},
    Row{"git", of_git},
    Row{"git_module", of_commit},
    Row{"git_repo", of_git_repo},
    Row{"git_tag", of_commit},
    Row{"go_module", of_go_module},
    Row{"patch", of_patch},
    Row{"patch_queue", of_patch_queue},
    Row{"pypi", of_pypi},
    Row{"tar", of_download},
    Row{"zip", of_download},
};

}  // namespace

Result<Exports> exports_of(const model::Source& source) {
  if (!source.plugin.file.empty()) {
    return fail("app", "unsupported",
                fmt::format("What sources of kind '{}' export to a manifest is only known to {}",
                            source.kind, source.plugin.file),
                source.provenance);
  }
  const auto row = std::find_if(kRows.begin(), kRows.end(),
                                [&](const Row& of) { return of.kind == source.kind; });
  return row != kRows.end() ? row->exports(source) : Exports{};
}

}  // namespace sluice::sources
