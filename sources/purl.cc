#include "sources/purl.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace sluice::sources {

namespace {

std::string escaped(std::string_view text, std::string_view plain) {
  std::string out;
  for (const char c : text) {
    const bool as_it_is = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view("-._~").find(c) != std::string_view::npos ||
                          plain.find(c) != std::string_view::npos;
    out += as_it_is ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string_view without_end(std::string_view text, std::string_view end) {
  return text.ends_with(end) ? text.substr(0, text.size() - end.size()) : text;
}

struct Place {
  std::string_view host, path;  // the path without slashes around it
};

Place place_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("?#"));
  const auto slash = std::min(url.find('/'), url.size());
  Place out{url.substr(0, slash), url.substr(slash)};
  if (const auto at = out.host.rfind('@'); at != std::string_view::npos)
    out.host.remove_prefix(at + 1);
  while (out.path.starts_with('/')) out.path.remove_prefix(1);
  while (out.path.ends_with('/')) out.path.remove_suffix(1);
  return out;
}

// The hosts of repositories whose packages have a type of their own, with names in lower case.
struct Forge {
  std::string_view host, type;
};
constexpr Forge kForges[] = {{"github.com", "github"}, {"bitbucket.org", "bitbucket"}};

std::string of_commit(const Info& info, const std::string& url) {
  const std::string commit = info.version == "None" ? "" : info.version;
  const Place place = place_of(url);
  const std::string_view path = without_end(place.path, ".git");
  const auto slash = path.rfind('/');
  for (const Forge& forge : kForges) {
    if (place.host == forge.host && slash != std::string_view::npos)
      return package_url(forge.type, lower(path.substr(0, slash)), lower(path.substr(slash + 1)),
                         commit);
  }
  const std::string location = commit_location(url, commit);
  if (location.empty()) return {};
  return package_url("generic", "", last_part(url), info.guess, {{"vcs_url", location}});
}

// "zlib" of "zlib-1.3.1.tar.gz", when 1.3.1 is the version; else all of the name.
std::string_view named(std::string_view file, const std::string& version) {
  const auto at = version.empty() ? std::string_view::npos : file.find(version);
  if (at == std::string_view::npos || at < 2) return file;
  std::string_view front = file.substr(0, at);
  if (front.ends_with('v')) front.remove_suffix(1);
  if (!front.ends_with('-') && !front.ends_with('_')) return file;
  front.remove_suffix(1);
  return front.empty() ? file : front;
}

}  // namespace

std::string package_url(std::string_view type, std::string_view space, std::string_view name,
                        std::string_view version,
                        const std::vector<std::pair<std::string_view, std::string>>& qualifiers) {
  if (name.empty()) return {};
  std::string out = fmt::format("pkg:{}/", type);
  if (!space.empty()) out += escaped(space, "/") + "/";
  out += escaped(name, "");
  if (!version.empty()) out += "@" + escaped(version, ":");
  char before = '?';
  for (const auto& [key, value] : qualifiers) {
    if (value.empty()) continue;
    out += fmt::format("{}{}={}", before, key, escaped(value, ":/"));
    before = '&';
  }
  return out;
}

std::pair<std::string, std::string> name_and_version(std::string_view file) {
  std::pair<std::string, std::string> out;
  if (file.ends_with(".whl")) {
    const auto name = file.find('-');
    const auto version = name == std::string_view::npos ? name : file.find('-', name + 1);
    if (version == std::string_view::npos) return out;
    return {std::string(file.substr(0, name)),
            std::string(file.substr(name + 1, version - name - 1))};
  }
  for (const std::string_view end : {".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip"}) {
    if (!file.ends_with(end)) continue;
    const std::string_view stem = without_end(file, end);
    const auto dash = stem.rfind('-');
    if (dash == std::string_view::npos || dash == 0 || dash + 1 == stem.size()) return out;
    return {std::string(stem.substr(0, dash)), std::string(stem.substr(dash + 1))};
  }
  return out;
}

std::string python_package_url(std::string_view name, std::string_view version) {
  std::string plain = lower(name);
  std::replace(plain.begin(), plain.end(), '_', '-');
  return package_url("pypi", "", plain, version);
}

std::string package_url_of(const Info& info, const std::string& url) {
  if (!info.purl.empty()) return info.purl;
  if (info.medium == "git") return of_commit(info, url);
  const Place place = place_of(url);
  if (info.medium != "remote-file" || place.host.empty()) return {};
  const bool checked = info.version_type == "sha256" && info.version != "None";
  const std::string file = last_part(url);
  return package_url(
      "generic", "", named(file, info.guess), info.guess,
      {{"checksum", checked ? "sha256:" + info.version : std::string()}, {"download_url", url}});
}

std::string last_part(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  while (url.ends_with('/')) url.remove_suffix(1);
  if (const auto slash = url.find_last_of("/:"); slash != std::string_view::npos)
    url.remove_prefix(slash + 1);
  return std::string(without_end(url, ".git"));
}

std::string commit_location(std::string_view url, std::string_view commit) {
  std::string out;
  if (url.find("://") != std::string_view::npos) {
    out = url.starts_with("git://") ? std::string(url) : "git+" + std::string(url);
  } else if (const auto colon = url.find(':');
             colon != std::string_view::npos && colon > 0 && url[0] != '/' &&
             url.substr(0, colon).find('/') == std::string_view::npos) {
    // As ssh and scp write it: git@host:path.
    out = fmt::format("git+ssh://{}/{}", url.substr(0, colon), url.substr(colon + 1));
  } else {
    return {};
  }
  if (!commit.empty()) out += fmt::format("@{}", commit);
  return out;
}

}  // namespace sluice::sources
