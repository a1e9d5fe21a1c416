#include "base/try.h"
#include "sources/infos.h"
#include "sources/purl.h"

namespace sluice::sources::cpan {

namespace {

// Of "authors/id/A/AU/AUTHOR/Dist-1.0.tar.gz".
std::string purl(std::string_view suffix) {
  constexpr std::string_view kBefore = "authors/id/";
  constexpr std::size_t kLetters = 5;  // "A/AU/"
  if (!suffix.starts_with(kBefore) || suffix.size() < kBefore.size() + kLetters) return {};
  const std::string_view author = suffix.substr(kBefore.size() + kLetters);
  const auto [name, version] = name_and_version(last_part(suffix));
  return package_url("cpan", author.substr(0, author.find('/')), name, version);
}

}  // namespace

Infos info(const model::Source& source) {
  const std::string suffix = source.ref.get_string("suffix");
  const std::string url = source.url + suffix;
  auto guess = TRY(version_of(source, url));
  Info info{url, "remote-file", "sha256", source.ref.get_string("sha256sum", "None"), guess, {}};
  info.purl = purl(suffix);
  return std::vector{std::move(info)};
}

}  // namespace sluice::sources::cpan
