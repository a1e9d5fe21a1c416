#include "jobs/mirror.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "jobs/helper.h"
#include "jobs/retry.h"
#include "store/directory.h"
#include "store/downloads.h"

namespace sluice::jobs {

std::string where(const model::Source& source) {
  return source.provenance.known() ? fmt::format("{} source at {}: ", source.kind, source.provenance.str()) : std::string();
}

tl::unexpected<Error> source_error(const model::Source& source, std::string reason, std::string message, std::string detail) {
  return fail("source", std::move(reason), std::move(message), source.provenance, std::move(detail));
}

namespace {

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<std::string> sha256_of_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path);
  auto digest = store::digest_of_fd(fd.get());
  if (!digest) return forward(digest);
  return digest->hash;
}

// The path of a file:// URL.
Result<std::string> file_url_path(const model::Source& source) {
  std::string_view rest = std::string_view(source.url).substr(7);
  if (rest.compare(0, 10, "localhost/") == 0) rest.remove_prefix(9);
  if (rest.empty() || rest.front() != '/') {
    return source_error(source, "bad-url", fmt::format("{}The URL {} names no local file", where(source), source.url));
  }
  std::string path;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const auto hex = [](char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; };
    if (rest[i] == '%' && i + 2 < rest.size() && hex(rest[i + 1]) >= 0 && hex(rest[i + 2]) >= 0) {
      path += static_cast<char>(hex(rest[i + 1]) * 16 + hex(rest[i + 2]));
      i += 2;
    } else {
      path += rest[i];
    }
  }
  if (path.find('\0') != std::string::npos) {
    return source_error(source, "bad-url", fmt::format("{}The URL {} has a zero byte", where(source), source.url));
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
    if (auto written = write_all(out.get(), {buffer, static_cast<std::size_t>(n)}); !written) return written;
  }
}

}  // namespace

Result<std::string> Mirror::ensure(const model::Source& source) {
  if (!is_sha256(source.ref)) {
    return source_error(source, "bad-ref",
                        fmt::format("{}The ref of {} is no SHA-256: '{}'", where(source), source.original_url, source.ref));
  }
  const std::string path = store::download_path(settings_, source);
  if (path_exists(path)) {
    auto sum = sha256_of_file(path);
    if (!sum) return forward(sum);
    if (*sum == source.ref) return path;
    // Half of a download, by whoever wrote it: it isn't what its name says.
    reporter_.message(Level::kWarn, fmt::format("The download of {} is damaged and is fetched again", source.original_url));
    ::unlink(path.c_str());
  }
  auto sum = download_with_retries(source, source.urls, "Fetching");
  if (!sum) return forward(sum);
  return path;
}

Result<std::string> Mirror::track(const model::Source& source) {
  model::Source newest = source;
  newest.ref.clear();
  return download_with_retries(newest, source.track_urls, "Tracking");
}

Result<std::string> Mirror::download_with_retries(const model::Source& source, const std::vector<std::string>& urls, std::string_view activity) {
  if (auto made = make_directories(store::download_directory(settings_, source)); !made) return forward(made);
  for (unsigned attempt = 1;; ++attempt) {
    auto sum = download_from_anywhere(source, urls, activity);
    if (sum) return sum;
    const bool temporary = sum.error().reason == "download-failed";
    if (!temporary || attempt > settings_.network_retries) return sum;
    if (auto waited = wait_for_retry(attempt, sum.error(), reporter_, cancel_); !waited) return forward(waited);
  }
}

// From its URL, or the first of several that has it.
Result<std::string> Mirror::download_from_anywhere(const model::Source& source, const std::vector<std::string>& urls, std::string_view activity) {
  if (urls.empty()) return download(source, activity);
  Result<std::string> sum;
  for (const std::string& url : urls) {
    model::Source there = source;
    there.url = url;
    sum = download(there, activity);
    if (sum || sum.error().domain == "job") break;
  }
  return sum;
}

// Into a file of its own, renamed to what its content is. With a ref it must be that.
Result<std::string> Mirror::download(const model::Source& source, std::string_view text) {
  const std::string directory = store::download_directory(settings_, source);
  Reporter::Activity activity(reporter_, fmt::format("{} {}", text, source.url));
  reporter_.flush();
  const std::string partial = fmt::format("{}/.{}.{}.part", directory, source.ref.empty() ? "new" : source.ref, ::getpid());
  struct Remove {
    const std::string& path;
    ~Remove() { ::unlink(path.c_str()); }
  } remove{partial};
  if (source.url.compare(0, 7, "file://") == 0) {
    auto from = file_url_path(source);
    if (!from) return forward(from);
    if (auto copied = copy_file(*from, partial); !copied) {
      return source_error(source, "file-missing",
                          fmt::format("{}Error mirroring {}: {}", where(source), source.url, copied.error().message));
    }
  } else {
    auto done = run_helper({find_program("sluice-download"), partial}, cancel_, source.url);
    if (!done) {
      if (done.error().domain == "job") return forward(done);
      return source_error(source, done.error().reason,
                          fmt::format("{}Error mirroring {}: {}", where(source), source.url, done.error().message));
    }
  }
  auto sum = sha256_of_file(partial);
  if (!sum) return sum;
  if (!source.ref.empty() && *sum != source.ref) {
    return source_error(source, "wrong-checksum",
                        fmt::format("{}File downloaded from {} has sha256sum '{}', not '{}'!", where(source), source.url, *sum, source.ref));
  }
  if (::rename(partial.c_str(), fmt::format("{}/{}", directory, *sum).c_str()) != 0) return fail_errno(errno, partial);
  activity.success();
  return sum;
}

}  // namespace sluice::jobs
