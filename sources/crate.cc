#include "sources/crate.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::sources {

std::vector<Crate> crates_of(const model::Node& ref) {
  std::vector<Crate> crates;
  for (const model::Node& entry : ref.list) {
    Crate crate{entry.get_string("name"), entry.get_string("version"), {}, {}, {}, {}};
    if (entry.get_string("kind") == "git") {
      crate.repo = entry.get_string("repo");
      crate.commit = entry.get_string("commit");
      if (const model::Node* query = entry.find("query")) {
        for (const auto& [key, value] : query->map) crate.query.emplace_back(key, value.scalar);
      }
    } else {
      crate.sha = entry.get_string("sha");
    }
    crates.push_back(std::move(crate));
  }
  return crates;
}

std::string archive_name(const Crate& crate) {
  return fmt::format("{}/{}.crate", crate.name, crate.full_name());
}

std::string crate_url(const model::Source& source, const Crate& crate) {
  return source.url + archive_name(crate);
}

std::string mirrored_git_url(const model::Source& source, const std::string& url) {
  const model::Node* mirrors = source.config.find("git-mirrors");
  const std::pair<std::string, model::Node>* best = nullptr;
  if (mirrors != nullptr) {
    for (const auto& mirror : mirrors->map) {
      const bool longer = best == nullptr || best->first.size() < mirror.first.size();
      if (!mirror.first.empty() && url.starts_with(mirror.first) && longer) best = &mirror;
    }
  }
  if (best == nullptr) return url;
  // Wherever it occurs.
  std::string out;
  std::size_t at = 0;
  for (std::size_t next; (next = url.find(best->first, at)) != std::string::npos;
       at = next + best->first.size())
    out += url.substr(at, next - at) + best->second.scalar;
  return out + url.substr(at);
}

CrateRepository repository_of(const model::Source& source, const std::string& repo) {
  const auto known = [&](const std::string& url) -> const std::vector<std::string>* {
    const auto found =
        std::find_if(source.more_urls.begin(), source.more_urls.end(),
                     [&](const model::SourceUrl& more) { return more.original_url == url; });
    return found != source.more_urls.end() ? &found->urls : nullptr;
  };
  if (const auto* names = known(kCargoName + repo); names != nullptr && names->size() == 2) {
    CrateRepository repository{(*names)[0], (*names)[1], {}};
    if (const auto* urls = known(repo)) repository.urls = *urls;
    return repository;
  }
  // Tracking has just found it.
  const std::string alias = repo.substr(0, repo.find(':') + 1);
  const std::string rest = repo.substr(alias.size());
  CrateRepository repository{repo, repo, {}};
  if (const auto* names = known(kCargoName + alias); names != nullptr && names->size() == 2) {
    repository.url = repository.fetched = (*names)[0] + rest;
    if (const auto* urls = known(alias)) {
      for (const std::string& url : *urls) repository.urls.push_back(url + rest);
    }
  }
  return repository;
}

}  // namespace sluice::sources
