#include "jobs/fetch.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "jobs/helper.h"
#include "jobs/retry.h"
#include "store/directory.h"
#include "store/downloads.h"
#include "store/sources.h"

namespace sluice::jobs {

namespace {

std::string where(const model::Source& source) {
  return source.provenance.known() ? source.provenance.str() + ": " : std::string();
}

tl::unexpected<Error> source_error(const model::Source& source, std::string reason, std::string message,
                                   std::string detail = {}) {
  return fail("source", std::move(reason), std::move(message), source.provenance, std::move(detail));
}

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
  UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
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

class Fetch {
 public:
  Fetch(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel)
      : data_(data), cas_(cas), reporter_(reporter), cancel_(cancel), refs_(cas) {}

  Result<model::Digest> run() {
    auto known = refs_.lookup_element(data_.element.sources_key);
    if (!known) return forward(known);
    if (*known) return **known;
    std::vector<model::Digest> roots;
    for (const model::Source& source : data_.body.sources) {
      auto root = one(source);
      if (!root) return root;
      roots.push_back(*root);
    }
    store::Tree tree(cas_);
    for (std::size_t i = 0; i < roots.size(); ++i) {
      if (auto merged = tree.merge(roots[i], data_.body.sources[i].directory); !merged) {
        return fail("element", "stage-sources-fail",
                    fmt::format("Error trying to stage sources for {}: {}", data_.element.name, merged.error().message));
      }
    }
    auto root = tree.store(cas_);
    if (!root) return root;
    if (!data_.element.sources_key.empty()) {
      if (auto stored = refs_.store_element(data_.element.sources_key, *root); !stored) return forward(stored);
    }
    return root;
  }

 private:
  Result<model::Digest> one(const model::Source& source) {
    if (auto going = cancel_.check(); !going) return forward(going);
    auto known = refs_.lookup_source(source.kind, source.key);
    if (!known) return forward(known);
    if (*known) return **known;
    Result<model::Digest> root;
    if (source.kind == "local") {
      root = local(source);
    } else if (source.kind == "tar") {
      root = tar(source);
    } else {
      return source_error(source, "unsupported-source",
                          fmt::format("{}Sources of kind '{}' can't be fetched", where(source), source.kind));
    }
    if (!root) return root;
    if (auto stored = refs_.store_source(source.kind, source.key, *root); !stored) return forward(stored);
    return root;
  }

  // Its tree entered the store when keys were made; if it is gone from there, the
  // files must still be the same.
  Result<model::Digest> local(const model::Source& source) {
    struct stat info {};
    if (::lstat(source.path.c_str(), &info) != 0) return fail_errno(errno, source.path);
    const auto slash = source.path.rfind('/');
    auto root = S_ISDIR(info.st_mode)
                    ? store::import_tree(cas_, source.path)
                    : store::import_file_as_tree(cas_, source.path, source.path.substr(slash + 1));
    if (!root) return root;
    if (!source.local_digest.empty() && *root != source.local_digest) {
      return source_error(source, "source-changed",
                          fmt::format("{}{} changed after it was loaded", where(source), source.path));
    }
    return root;
  }

  Result<model::Digest> tar(const model::Source& source) {
    auto archive = ensure_download(source);
    if (!archive) return forward(archive);
    reporter_.flush();
    auto fresh = Scratch(data_.scratch).directory("unpacked");
    if (!fresh) return forward(fresh);
    const std::string directory = *fresh;
    const model::Node* base = source.config.find("base-dir");
    const std::string url_name = source.url.substr(source.url.rfind('/') + 1);
    auto done = run_helper({find_program("sluice-unpack"), *archive, url_name, directory,
                            base != nullptr ? base->scalar : std::string("*")}, cancel_);
    if (!done) {
      if (done.error().domain == "source") {
        done.error().message = fmt::format("{}Error staging source: {}", where(source), done.error().message);
        done.error().provenance = source.provenance;
      }
      return forward(done);
    }
    store::ImportOptions options;
    options.consume = true;
    auto root = store::import_tree(cas_, directory, options);
    return root;
  }

  // The file in the mirror, whose SHA-256 is the ref.
  Result<std::string> ensure_download(const model::Source& source) {
    if (!is_sha256(source.ref)) {
      return source_error(source, "bad-ref",
                          fmt::format("{}The ref of {} is no SHA-256: '{}'", where(source), source.original_url, source.ref));
    }
    const std::string directory = store::download_directory(data_.settings, source);
    const std::string path = directory + "/" + source.ref;
    if (path_exists(path)) {
      auto sum = sha256_of_file(path);
      if (!sum) return forward(sum);
      if (*sum == source.ref) return path;
      // Half of a download, by whoever wrote it: it isn't what its name says.
      reporter_.message(Level::kWarn, fmt::format("{} is damaged and is fetched again", path));
      ::unlink(path.c_str());
    }
    if (auto made = make_directories(directory); !made) return forward(made);
    for (unsigned attempt = 1;; ++attempt) {
      auto fetched = download_from_anywhere(source, directory);
      if (fetched) return path;
      const bool temporary = fetched.error().reason == "download-failed";
      if (!temporary || attempt > data_.settings.network_retries) return forward(fetched);
      if (auto waited = wait_for_retry(attempt, fetched.error(), reporter_, cancel_); !waited) return forward(waited);
    }
  }

  // From its URL, or the first of its mirrors that has it.
  Status download_from_anywhere(const model::Source& source, const std::string& directory) {
    if (source.urls.empty()) return download(source, directory);
    Status fetched;
    for (const std::string& url : source.urls) {
      model::Source there = source;
      there.url = url;
      fetched = download(there, directory);
      if (fetched || fetched.error().domain == "job") break;
    }
    return fetched;
  }

  // Into a file of its own, renamed when its content is what it should be.
  Status download(const model::Source& source, const std::string& directory) {
    Reporter::Activity activity(reporter_, "Fetching " + source.url);
    reporter_.flush();
    const std::string partial = fmt::format("{}/.{}.{}.part", directory, source.ref, ::getpid());
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
      auto done = run_helper({find_program("sluice-download"), source.url, partial}, cancel_);
      if (!done) {
        if (done.error().domain == "job") return forward(done);
        return source_error(source, done.error().reason,
                            fmt::format("{}Error mirroring {}: {}", where(source), source.url, done.error().message));
      }
    }
    auto sum = sha256_of_file(partial);
    if (!sum) return forward(sum);
    if (*sum != source.ref) {
      return source_error(source, "wrong-checksum",
                          fmt::format("{}File downloaded from {} has sha256sum '{}', not '{}'!", where(source), source.url,
                                      *sum, source.ref));
    }
    if (::rename(partial.c_str(), (directory + "/" + source.ref).c_str()) != 0) return fail_errno(errno, partial);
    activity.success();
    return {};
  }

  const JobData& data_;
  store::Cas& cas_;
  Reporter& reporter_;
  Cancel& cancel_;
  store::SourceRefs refs_;
};

}  // namespace

Result<model::Digest> fetch_sources(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel) {
  return Fetch(data, cas, reporter, cancel).run();
}

}  // namespace sluice::jobs
