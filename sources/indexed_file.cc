#include "sources/indexed_file.h"

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/try.h"
#include "sources/mirror_url.h"
#include "store/downloads.h"

namespace sluice::sources {

namespace {

Download file_of(const model::Source& source, Surroundings& surroundings,
                 const std::vector<std::string>& bases, const std::string& suffix) {
  Download download;
  for (const std::string& base : bases.empty() ? std::vector{source.url} : bases)
    download.urls.push_back(base + suffix);
  download.directory = store::mirror_directory(surroundings.settings(), source.kind,
                                               source.config.get_string("name"));
  download.headers = {"Accept: */*"};
  return download;
}

Result<std::string> ensure(const model::Source& source, Surroundings& surroundings) {
  Download download = file_of(source, surroundings, source.urls, source.ref.get_string("suffix"));
  download.sha256 = source.ref.get_string("sha256sum");
  if (download.sha256.empty()) {
    return source_error(source, "bad-ref",
                        fmt::format("{}The ref has no sha256sum", where(source)));
  }
  return download_file(source, surroundings, download, "Fetching from");
}

}  // namespace

Result<bool> has_indexed_file(const model::Source& source, Surroundings& surroundings) {
  const std::string sum = source.ref.get_string("sha256sum");
  // A ref is no way out of the directory.
  if (sum.empty() || sum.find('/') != std::string::npos) return false;
  const std::string path = fmt::format("{}/{}",
                                       store::mirror_directory(surroundings.settings(), source.kind,
                                                               source.config.get_string("name")),
                                       sum);
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Status fetch_indexed_file(const model::Source& source, Surroundings& surroundings) {
  CHECK(ensure(source, surroundings));
  return {};
}

Result<model::Digest> stage_indexed_file(const model::Source& source, Surroundings& surroundings) {
  const std::string archive = TRY(ensure(source, surroundings));
  const std::string directory = TRY(surroundings.directory("unpacked"));
  const std::string suffix = source.ref.get_string("suffix");
  std::vector<std::string> words = {"--strip", archive, suffix.substr(suffix.rfind('/') + 1),
                                    directory, ""};
  if (suffix.ends_with(".zip")) words.insert(words.begin(), "--zip");
  return stage_unpacked(source, surroundings, std::move(words), directory, {});
}

Result<std::string> track_indexed_file(const model::Source& source, Surroundings& surroundings,
                                       const std::string& suffix) {
  const std::string path =
      TRY(download_file(source, surroundings,
                        file_of(source, surroundings, source.track_urls, suffix), "Fetching from"));
  return path.substr(path.rfind('/') + 1);
}

Result<std::string> read_index(const model::Source& source, Surroundings& surroundings,
                               const std::vector<std::string>& urls,
                               std::vector<std::string> headers) {
  const std::string file = TRY(download_file(
      source, surroundings, {urls, TRY(surroundings.directory("index")), {}, std::move(headers)},
      "Fetching"));
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return fail_errno(errno, file);
  if (static_cast<std::size_t>(info.st_size) > kMaxIndex) {
    return source_error(source, "too-large",
                        fmt::format("{}{} is longer than {} bytes", where(source),
                                    without_credentials(shown_url(urls.front())), kMaxIndex));
  }
  return read_file(file);
}

Found found_map(model::NodeMap map) {
  Found found;
  for (const auto& [name, value] : map)
    found.shown +=
        fmt::format("{}'{}': '{}'", found.shown.empty() ? "{" : ", ", name, value.scalar);
  found.shown += '}';
  found.ref = model::Node::make_map(std::move(map));
  return found;
}

}  // namespace sluice::sources
