// The work of kind cargo2: the crates that a Cargo.lock names, put where Cargo finds them
// (buildstream-plugins-community, cargo2). What is written as TOML has the form that it has there.
#include <algorithm>
#include <cctype>
#include <tuple>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/try.h"
#include "sources/cargo2/git_crate.h"
#include "sources/crates.h"
#include "sources/works.h"
#include "store/directory.h"

namespace sluice::sources::cargo2 {

namespace {

model::Node text(std::string value) { return model::Node::make_scalar(std::move(value)); }

// The parts of "git+URL?branch=NAME#COMMIT".
Crate git_crate(const model::Source& source, std::string url) {
  Crate crate;
  if (const std::size_t at = url.find('#'); at != std::string::npos) {
    crate.commit = url.substr(at + 1);
    url.resize(at);
  }
  std::string query;
  if (const std::size_t at = url.find('?'); at != std::string::npos) {
    query = url.substr(at + 1);
    url.resize(at);
  }
  std::transform(url.begin(),
                 url.begin() + static_cast<std::ptrdiff_t>(std::min(url.find(':'), url.size())),
                 url.begin(), [](unsigned char c) { return std::tolower(c); });
  crate.repo = mirrored_git_url(source, url);
  const auto plain = [](std::string part) {
    std::replace(part.begin(), part.end(), '+', ' ');
    return percent_decoded(part);
  };
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string one = query.substr(0, end);
    query.erase(0, end + 1);
    const std::size_t is = one.find('=');
    if (is == std::string::npos || is + 1 == one.size()) continue;
    const std::string key = plain(one.substr(0, is));
    const std::string value = plain(one.substr(is + 1));
    const auto found = std::find_if(crate.query.begin(), crate.query.end(),
                                    [&](const auto& entry) { return entry.first == key; });
    if (found != crate.query.end()) {
      found->second = value;
    } else {
      crate.query.emplace_back(key, value);
    }
  }
  return crate;
}

std::string quoted(std::string_view part) {
  std::string out;
  for (const char c : part) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ||
                       c == '-' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

model::Node ref_of(const Crate& crate) {
  if (!crate.is_git()) {
    return model::Node::make_map({{"kind", text("registry")},
                                  {"name", text(crate.name)},
                                  {"version", text(crate.version)},
                                  {"sha", text(crate.sha)}});
  }
  model::Node ref = model::Node::make_map(
      {{"kind", text("git")}, {"commit", text(crate.commit)}, {"repo", text(crate.repo)}});
  if (!crate.query.empty()) {
    model::Node query = model::Node::make_map();
    for (const auto& [key, value] : crate.query) query.set(key, text(value));
    ref.set("query", std::move(query));
  }
  ref.set("name", text(crate.name));
  ref.set("version", text(crate.version));
  return ref;
}

// Where Cargo is to look for what, as its .cargo/config.toml says it.
std::string config_text(const model::Source& source, const std::vector<Crate>& crates,
                        const std::string& vendor) {
  constexpr const char* kVendored = "vendored-sources";
  Toml sources;
  Toml registry;
  registry.set("registry", Toml::make_text(source.url));
  registry.set("replace-with", Toml::make_text(kVendored));
  sources.set("crates-io", std::move(registry));
  for (const Crate& crate : crates) {
    if (!crate.is_git()) continue;
    const std::string url = repository_of(source, crate.repo).url;
    Toml section;
    section.set("git", Toml::make_text(url));
    section.set("replace-with", Toml::make_text(kVendored));
    // Cargo finds the crate only with the branch, tag or rev that it is asked for by.
    std::string query;
    for (const auto& [key, value] : crate.query) {
      section.set(key, Toml::make_text(value));
      query += fmt::format("{}{}={}", query.empty() ? '?' : '&', quoted(key), quoted(value));
    }
    sources.set(fmt::format("git+{}{}", url, query), std::move(section));
  }
  Toml vendored;
  vendored.set("directory", Toml::make_text(vendor));
  sources.set(kVendored, std::move(vendored));
  Toml config;
  config.set("source", std::move(sources));
  return write_toml(config);
}

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  std::vector<Crate> crates;
  for (const LockedPackage& package : TRY(locked_packages(source, surroundings))) {
    const std::size_t plus = package.origin.find('+');
    const std::string kind = package.origin.substr(0, plus);
    Crate crate;
    if (plus != std::string::npos && kind == "git") {
      crate = git_crate(source, package.origin.substr(plus + 1));
    } else if (plus != std::string::npos && kind == "registry") {
      crate.sha = package.checksum;
    } else {
      return source_error(source, "unknown-crate-source",
                          fmt::format("{}Unknown source kind '{}' for crate {}", where(source),
                                      kind, package.name));
    }
    crate.name = package.name;
    crate.version = package.version;
    crates.push_back(std::move(crate));
  }
  std::stable_sort(crates.begin(), crates.end(), [](const Crate& a, const Crate& b) {
    return std::tie(a.name, a.version, a.repo, a.commit) <
           std::tie(b.name, b.version, b.repo, b.commit);
  });
  model::Node ref = model::Node::make_list();
  for (Crate& crate : crates) {
    if (!crate.is_git() && crate.sha.empty())
      crate.sha = TRY(track_archive(source, surroundings, crate));
    ref.list.push_back(ref_of(crate));
  }
  return Found{std::move(ref), fmt::format("{} crates", crates.size())};
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  for (const Crate& crate : crates_of(source.ref)) {
    const bool there = crate.is_git() ? TRY(GitCrate(source, surroundings, crate).is_there())
                                      : has_archive(source, surroundings, crate);
    if (!there) return false;
  }
  return true;
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  for (const Crate& crate : crates_of(source.ref)) {
    CHECK(surroundings.check());
    if (crate.is_git()) {
      CHECK(GitCrate(source, surroundings, crate).fetch());
    } else {
      TRY(ensure_archive(source, surroundings, crate));
    }
  }
  return {};
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  const std::string directory = TRY(surroundings.directory("cargo2"));
  const std::string name = source.config.get_string("vendor-dir", ".vendored-crates");
  const std::string vendor = TRY(path_below(source, directory, "vendor-dir", name));
  const std::vector<Crate> crates = crates_of(source.ref);
  for (const Crate& crate : crates) {
    CHECK(surroundings.check());
    if (crate.is_git()) {
      CHECK(GitCrate(source, surroundings, crate).stage(vendor));
    } else {
      CHECK(stage_crate(source, surroundings, crate, vendor));
    }
  }
  CHECK(make_directories(directory + "/.cargo"));
  CHECK(write_file_atomic(directory + "/.cargo/config.toml", config_text(source, crates, name),
                          0644));
  store::ImportOptions options;
  options.consume = true;
  return store::import_tree(surroundings.cas(), directory, options);
}

}  // namespace sluice::sources::cargo2
