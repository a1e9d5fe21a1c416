// Downloads are files from elsewhere, kept below the user's source directory under their SHA-256,
// where BuildStream keeps them too (store/downloads.h).

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/try.h"
#include "sources/mirror_url.h"
#include "sources/work.h"
#include "store/directory.h"
#include "store/downloads.h"
#include "wire/helper.h"

namespace sluice::sources {

namespace {

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<std::string> sha256_of_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path);
  auto digest = TRY(store::digest_of_fd(fd.get()));
  return digest.hash;
}

// The path of a file:// URL.
Result<std::string> file_url_path(const model::Source& source, const std::string& url) {
  std::string_view rest = std::string_view(url).substr(7);
  if (rest.compare(0, 10, "localhost/") == 0) rest.remove_prefix(9);
  if (rest.empty() || rest.front() != '/') {
    return source_error(source, "bad-url",
                        fmt::format("{}The URL {} names no local file", where(source), url));
  }
  std::string path = percent_decoded(rest);
  if (path.find('\0') != std::string::npos) {
    return source_error(source, "bad-url",
                        fmt::format("{}The URL {} has a zero byte", where(source), url));
  }
  return path;
}

Status copy_file(const std::string& from, const std::string& to) {
  UniqueFd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return fail_errno(errno, from);
  struct stat info {};
  if (::fstat(in.get(), &info) != 0) return fail_errno(errno, from);
  if (!S_ISREG(info.st_mode)) return fail("util", "not-a-file", from + ": not a regular file");
  UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!out) return fail_errno(errno, to);
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(in.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, from);
    if (n == 0) return {};
    CHECK(write_all(out.get(), {buffer, static_cast<std::size_t>(n)}));
  }
}

// Downloads into a temporary file, which is renamed to the SHA-256 of its content; gives that.
Result<std::string> download_from(const model::Source& source, const Address& address,
                                  Surroundings& surroundings, const Download& wanted,
                                  std::string_view text) {
  const std::string& url = address.url;
  Step step(surroundings, fmt::format("{} {}", text, url));
  const std::string partial =
      fmt::format("{}/.{}.{}.part", wanted.directory, wanted.sha256.empty() ? "new" : wanted.sha256,
                  ::getpid());
  struct Remove {
    const std::string& path;
    ~Remove() { ::unlink(path.c_str()); }
  } remove{partial};
  if (url.compare(0, 7, "file://") == 0) {
    auto from = TRY(file_url_path(source, url));
    if (auto copied = copy_file(from, partial); !copied) {
      return source_error(
          source, "file-missing",
          fmt::format("{}Error mirroring {}: {}", where(source), url, copied.error().message));
    }
  } else {
    std::string request = url;
    for (const auto* headers : {&wanted.headers, &address.headers}) {
      for (const std::string& header : *headers) request += '\n' + header;
    }
    auto done = wire::run_helper({find_program("sluice-download"), partial,
                                  std::to_string(surroundings.settings().network_timeout)},
                                 surroundings.stop(), request);
    if (!done) {
      if (done.error().domain == "job") return forward(done);
      return source_error(
          source, done.error().reason,
          fmt::format("{}Error mirroring {}: {}", where(source), url, done.error().message));
    }
  }
  auto sum = TRY(sha256_of_file(partial));
  if (!wanted.sha256.empty() && sum != wanted.sha256) {
    return source_error(source, "wrong-checksum",
                        fmt::format("{}File downloaded from {} has sha256sum '{}', not '{}'!",
                                    where(source), url, sum, wanted.sha256));
  }
  if (::rename(partial.c_str(), fmt::format("{}/{}", wanted.directory, sum).c_str()) != 0)
    return fail_errno(errno, partial);
  step.success();
  return sum;
}

Download download_of(const model::Source& source, const std::vector<std::string>& urls,
                     Surroundings& surroundings) {
  return {urls.empty() ? std::vector{source.url} : urls,
          store::download_directory(surroundings.settings(), source),
          {},
          {}};
}

}  // namespace

Result<std::string> download_file(const model::Source& source, Surroundings& surroundings,
                                  const Download& download, std::string_view text) {
  if (!download.sha256.empty() && !is_sha256(download.sha256)) {
    return source_error(source, "bad-ref",
                        fmt::format("{}The ref of {} is no SHA-256: '{}'", where(source),
                                    shown_url(download.urls.front()), download.sha256));
  }
  if (!download.sha256.empty()) {
    const std::string path = fmt::format("{}/{}", download.directory, download.sha256);
    if (path_exists(path)) {
      auto sum = TRY(sha256_of_file(path));
      if (sum == download.sha256) return path;
      // A file that isn't what its name says is half of a download, whoever wrote it.
      surroundings.message(Weight::kWarning,
                           fmt::format("The download of {} is damaged and is fetched again",
                                       shown_url(download.urls.front())));
      ::unlink(path.c_str());
    }
  }
  CHECK(make_directories(download.directory));
  for (unsigned attempt = 1;; ++attempt) {
    std::string sum;
    Status done =
        first_of(source, surroundings, download.urls, [&](const Address& address) -> Status {
          sum = TRY(download_from(source, address, surroundings, download, text));
          return {};
        });
    if (done) return fmt::format("{}/{}", download.directory, sum);
    const bool temporary = done.error().reason == "download-failed";
    if (!temporary || attempt > surroundings.settings().network_retries) return forward(done);
    CHECK(surroundings.wait_for_retry(attempt, done.error()));
  }
}

Result<std::string> ensure_download(const model::Source& source, Surroundings& surroundings) {
  const std::string& ref = source.ref_text();
  if (!is_sha256(ref)) {
    return source_error(source, "bad-ref",
                        fmt::format("{}The ref of {} is no SHA-256: '{}'", where(source),
                                    source.original_url, ref));
  }
  Download download = download_of(source, source.urls, surroundings);
  download.sha256 = ref;
  return download_file(source, surroundings, download, "Fetching");
}

Result<bool> cached_download(const model::Source& source, Surroundings& surroundings) {
  const std::string path = store::download_path(surroundings.settings(), source);
  struct stat info {};
  return !path.empty() && ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Status fetch_download(const model::Source& source, Surroundings& surroundings) {
  CHECK(ensure_download(source, surroundings));
  return {};
}

Result<std::optional<Found>> track_download(const model::Source& source,
                                            Surroundings& surroundings) {
  const Download download = download_of(source, source.track_urls, surroundings);
  const std::string path = TRY(download_file(source, surroundings, download, "Tracking"));
  const std::string sum = path.substr(path.rfind('/') + 1);
  if (!source.ref_text().empty() && sum != source.ref_text()) {
    surroundings.message(Weight::kWarning, "Potential man-in-the-middle attack!",
                         fmt::format("When tracking, new ref differs from current ref:\n"
                                     "  Tracked URL: {}\n  Current ref: {}\n  New ref: {}\n",
                                     source.url, source.ref_text(), sum));
  }
  return Found{model::Node::make_scalar(sum), sum};
}

}  // namespace sluice::sources
