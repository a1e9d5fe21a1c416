#include <algorithm>

#include "base/try.h"
#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::cpan {

namespace {

// Of "authors/id/A/AU/AUTHOR/Dist-1.0.tar.gz".
std::string purl(std::string_view suffix, const std::string& version) {
  constexpr std::string_view kBefore = "authors/id/";
  constexpr std::size_t kLetters = 5;  // "A/AU/"
  const auto file = suffix.rfind('/');
  const auto end = version.empty() ? std::string_view::npos : suffix.rfind("-" + version);
  if (!suffix.starts_with(kBefore) || end == std::string_view::npos || end < file) return {};
  const std::string_view author = suffix.substr(std::min(file, kBefore.size() + kLetters));
  return package_url("cpan", author.substr(0, author.find('/')),
                     suffix.substr(file + 1, end - file - 1), version);
}

}  // namespace

Infos info(const model::Source& source) {
  const std::string suffix = source.ref.get_string("suffix");
  const std::string url = source.url + suffix;
  auto guess = TRY(version_of(source, url));
  Info info{url, "remote-file", "sha256", source.ref.get_string("sha256sum", "None"), guess, {}};
  info.purl = purl(suffix, guess);
  return std::vector{std::move(info)};
}

}  // namespace sluice::sources::cpan
