// An image of a container registry (buildstream_plugins/sources/docker.py): the manifest that the
// ref is the digest of, and the layers that it names, each kept under its digest where the plugin
// keeps it, whatever image it is of.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <map>
#include <span>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "base/try.h"
#include "sources/docker/registry.h"
#include "sources/works.h"
#include "store/directory.h"

namespace sluice::sources::docker {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kManifests[] = {"application/vnd.docker.distribution.manifest.v2+json",
                                           "application/vnd.oci.image.manifest.v1+json"};
constexpr std::string_view kLists[] = {"application/vnd.docker.distribution.manifest.list.v2+json",
                                       "application/vnd.oci.image.index.v1+json"};
constexpr std::string_view kLayers[] = {"application/vnd.docker.image.rootfs.diff.tar.gzip",
                                        "application/vnd.oci.image.layer.v1.tar+gzip"};
// What registries themselves take, at most.
constexpr std::uint64_t kMaxManifest = std::uint64_t{4} << 20;
constexpr unsigned kMaxLists = 4;

bool is_one_of(std::span<const std::string_view> known, const std::string& text) {
  return std::find(known.begin(), known.end(), text) != known.end();
}

// A digest becomes the name of a file.
bool is_digest(std::string_view text) {
  return text.size() == 71 && text.starts_with("sha256:") &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string_view::npos;
}

std::string text_of(const Json& map, const char* name) {
  return map.is_object() && map.contains(name) && map[name].is_string()
             ? map[name].get<std::string>()
             : std::string();
}

std::string header(std::string_view headers, std::string_view name) {
  const std::string wanted = fmt::format("\n{}: ", name);
  const std::string all = fmt::format("\n{}", headers);
  const auto at = all.find(wanted);
  if (at == std::string::npos) return "";
  const auto from = at + wanted.size();
  return all.substr(from, all.find('\n', from) - from);
}

// As much of a manifest as a person would look at.
std::string shown(const std::string& text) { return valid_utf8(text.substr(0, 2000)); }

struct Layer {
  std::string digest;
  std::uint64_t size = 0;  // 0: not told
};

struct Manifest {
  std::string text;
  std::string digest;
};

// Partial is the file that something is downloaded into, one for each digest, so that what a job
// that was killed has left is gone on with. Only its one user may hold it; it is one of this
// process's own while another job holds that and doesn't get on.
struct Partial {
  std::string path;
  UniqueFd lock;  // open for writing, too
  bool own = false;

  ~Partial() {
    if (own) ::unlink(path.c_str());
  }
  Partial() = default;
  Partial(Partial&&) = default;
  Partial& operator=(Partial&&) = delete;
};

class Image {
 public:
  Image(const model::Source& source, Surroundings& surroundings)
      : source_(source), surroundings_(surroundings),
        mirror_(surroundings.settings().sourcedir + "/docker"),
        name_(place_of(source, source.url).image), digest_("sha256:" + source.ref_text()) {}

  Result<std::optional<Found>> track() {
    const std::string tag = source_.config.get_string("track");
    if (tag.empty()) return std::optional<Found>();
    Manifest found;
    CHECK(anywhere(source_.track_urls, [&](Registry& registry) -> Status {
      Step step(surroundings_, fmt::format("Fetching image manifest for image: '{}:{}' from: {}",
                                           name_, tag, registry.shown()));
      found = TRY(manifest(registry, tag, 0));
      step.success();
      return {};
    }));
    const std::string ref = found.digest.substr(7);
    return std::optional(Found{model::Node::make_scalar(ref), ref});
  }

  Result<bool> cached() {
    if (!is_digest(digest_)) return false;
    auto text = read_file(manifest_path());
    if (!text || sha256_hex(*text) != source_.ref_text()) return false;
    auto layers = layers_of(*text);
    if (!layers) return false;
    return std::all_of(layers->begin(), layers->end(), [&](const Layer& layer) {
      struct stat info {};
      return ::stat(blob_path(layer.digest).c_str(), &info) == 0 && S_ISREG(info.st_mode);
    });
  }

  // Brings what isn't there, or isn't what its name says; gives the layers' files, the lowest
  // first.
  Result<std::vector<std::string>> ensure() {
    if (!is_digest(digest_)) {
      return source_error(source_, "bad-ref",
                          fmt::format("{}The ref of {} is no SHA-256: '{}'", where(source_), name_,
                                      source_.ref_text()));
    }
    CHECK(make_directories(mirror_));
    const std::vector<Layer> layers = TRY(layers_of(TRY(ensure_manifest())));
    std::vector<std::string> files;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::string file = blob_path(layers[i].digest);
      // Images have the same layer several times, above all the one without anything.
      if (std::find(files.begin(), files.end(), file) == files.end())
        CHECK(ensure_blob(layers[i], file, fmt::format("layer {} of {}", i + 1, layers.size())));
      files.push_back(file);
    }
    return files;
  }

 private:
  std::string manifest_path() const { return fmt::format("{}/{}.manifest.json", mirror_, digest_); }
  std::string blob_path(const std::string& digest) const {
    return fmt::format("{}/{}.tar.gz", mirror_, digest);
  }

  tl::unexpected<Error> error(std::string reason, std::string_view message,
                              std::string detail = {}) const {
    return source_error(source_, std::move(reason), fmt::format("{}{}", where(source_), message),
                        std::move(detail));
  }

  // Does `work` at the first registry where it succeeds, again while that may help.
  template <typename Work>
  Status anywhere(const std::vector<std::string>& urls, Work&& work) {
    for (unsigned attempt = 1;; ++attempt) {
      bool temporary = false;
      const Status done = first_of(
          source_, surroundings_, urls.empty() ? std::vector{source_.url} : urls,
          [&](const Address& address) -> Status {
            const std::string& url = address.url;
            // It is asked again with the token that it gave.
            Status one =
                work(registries_.try_emplace(url, source_, surroundings_, url).first->second);
            temporary = temporary || (!one && one.error().reason == "download-failed");
            return one;
          });
      if (done || done.error().domain == "job") return done;
      if (!temporary || attempt > surroundings_.settings().network_retries) return done;
      CHECK(surroundings_.wait_for_retry(attempt, done.error()));
    }
  }

  // A manifest by a tag or its digest. Of a list of manifests it is that for the source's
  // architecture and system.
  Result<Manifest> manifest(Registry& registry, const std::string& reference, unsigned depth) {
    Registry::Wanted wanted;
    wanted.path = "manifests/" + reference;
    wanted.accept = fmt::format("{},{}", fmt::join(kManifests, ","), fmt::join(kLists, ","));
    wanted.file = TRY(surroundings_.directory("manifest")) + "/text";
    wanted.max_bytes = kMaxManifest;
    const std::string headers = TRY(registry.get(wanted));
    Manifest result{TRY(read_file(wanted.file)), {}};
    result.digest = "sha256:" + sha256_hex(result.text);
    const Json json = parse_json(result.text);
    const auto bad = [&](std::string_view what) {
      return error("bad-manifest", what, shown(result.text));
    };
    if (!json.is_object()) return bad("Server did not return a valid manifest");
    if (!json.contains("schemaVersion"))
      return bad("Manifest did not include the schemaVersion key.");
    if (json["schemaVersion"] == 1) return bad("Schema version 1 is unsupported.");
    std::string claimed = reference;
    if (!is_digest(reference)) claimed = header(headers, "docker-content-digest");
    if (claimed.empty()) return bad("Server did not set the Docker-Content-Digest header.");
    if (claimed != result.digest) {
      return error("wrong-checksum", fmt::format("Server returned a non-matching content digest. "
                                                 "Our digest: {}, their digest: {}",
                                                 result.digest, claimed));
    }
    const std::string type = type_of(json);
    if (is_one_of(kManifests, type)) return result;
    if (!is_one_of(kLists, type)) return bad(fmt::format("Unsupported manifest type {}", type));
    const std::string architecture = setting("architecture");
    const std::string os = setting("os");
    if (depth == kMaxLists) return bad("Lists of manifests lead to lists without end");
    for (const Json& one : json.value("manifests", Json::array())) {
      if (!one.is_object() || !one.contains("platform") ||
          text_of(one["platform"], "architecture") != architecture ||
          text_of(one["platform"], "os") != os)
        continue;
      const std::string digest = text_of(one, "digest");
      if (!is_digest(digest)) return bad(fmt::format("'{}' is no SHA-256", digest));
      return manifest(registry, digest, depth + 1);
    }
    return bad(fmt::format("No images found for architecture {}, OS {}", architecture, os));
  }

  // OCI's manifests need not say what they are.
  static std::string type_of(const Json& json) {
    if (json.contains("mediaType")) return text_of(json, "mediaType");
    return std::string(json.contains("manifests") ? kLists[1]
                       : json.contains("layers")  ? kManifests[1]
                                                  : std::string_view{});
  }

  // What the source says, or else this machine's, in the registry's words.
  std::string setting(const char* name) const {
    if (std::string text = source_.config.get_string(name); !text.empty()) return text;
    struct utsname machine {};
    ::uname(&machine);
    if (std::string_view(name) == "os") {
      std::string os = machine.sysname;
      std::transform(os.begin(), os.end(), os.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      return os;
    }
    const std::string architecture = machine.machine;
    return architecture == "x86_64" ? "amd64" : architecture == "aarch64" ? "arm64" : architecture;
  }

  Result<std::vector<Layer>> layers_of(const std::string& text) const {
    const Json json = parse_json(text);
    if (!json.is_object() || !json.contains("layers") || !json["layers"].is_array())
      return error("bad-manifest", "The manifest has no layers", shown(text));
    std::vector<Layer> layers;
    for (const Json& one : json["layers"]) {
      const std::string type = text_of(one, "mediaType");
      if (!is_one_of(kLayers, type))
        return error("unsupported-layer", fmt::format("Unsupported layer type: {}", type));
      Layer layer{text_of(one, "digest"), 0};
      if (!is_digest(layer.digest))
        return error("bad-manifest",
                     fmt::format("The digest of a layer is no SHA-256: '{}'", layer.digest));
      if (one.contains("size") && one["size"].is_number_unsigned())
        layer.size = one["size"].get<std::uint64_t>();
      layers.push_back(std::move(layer));
    }
    return layers;
  }

  Result<std::string> ensure_manifest() {
    const std::string path = manifest_path();
    if (path_exists(path)) {
      std::string text = TRY(read_file(path));
      if (sha256_hex(text) == source_.ref_text()) return text;
      damaged("manifest");
    }
    Manifest found;
    CHECK(anywhere(source_.urls, [&](Registry& registry) -> Status {
      Step step(surroundings_,
                fmt::format("Fetching image {}@{} from {}", name_, digest_, registry.shown()));
      found = TRY(manifest(registry, digest_, 0));
      if (found.digest != digest_) {
        return error(
            "bad-ref",
            fmt::format("Requested image {}, got manifest with digest {}", digest_, found.digest),
            "The ref is of a list of images, one of which is that for this architecture. "
            "Track the source, or give the ref of the one.");
      }
      step.success();
      return {};
    }));
    CHECK(write_file_atomic(path, found.text));
    return std::move(found.text);
  }

  void damaged(std::string_view what) const {
    surroundings_.message(
        Weight::kWarning,
        fmt::format("The {} of {} that was fetched is damaged and is fetched again", what, name_));
  }

  static Result<std::string> digest_of(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno(errno, path);
    return "sha256:" + TRY(store::digest_of_fd(fd.get())).hash;
  }

  // Others may be about to do the same, for images have layers in common: they are waited for as
  // long as more comes, and may have moved the file to its place then.
  Result<Partial> partial(const Layer& layer) {
    constexpr Duration kPatience = std::chrono::seconds(5);
    Partial result;
    result.path = fmt::format("{}/.{}.part", mirror_, layer.digest);
    off_t size = -1;
    for (Duration last = system_clock().monotonic();;) {
      CHECK(surroundings_.check());
      result.lock.reset(::open(result.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
      struct stat ours {};
      struct stat there {};
      if (!result.lock || ::fstat(result.lock.get(), &ours) != 0)
        return fail_errno(errno, result.path);
      if (::flock(result.lock.get(), LOCK_EX | LOCK_NB) == 0) {
        if (::stat(result.path.c_str(), &there) == 0 && ours.st_ino == there.st_ino) return result;
        continue;
      }
      const Duration now = system_clock().monotonic();
      if (ours.st_size != size) last = now;
      size = ours.st_size;
      if (now - last > kPatience) break;
      pollfd stop{surroundings_.stop().fd, POLLIN, 0};
      ::poll(&stop, 1, 100);
    }
    result.path = fmt::format("{}/.{}.{}.part", mirror_, layer.digest, ::getpid());
    result.own = true;
    result.lock.reset(::open(result.path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!result.lock) return fail_errno(errno, result.path);
    return result;
  }

  // Whether the layer is there; what isn't it is removed.
  Result<bool> has_blob(const Layer& layer, const std::string& path, std::string_view what) const {
    if (!path_exists(path)) return false;
    if (TRY(digest_of(path)) == layer.digest) return true;
    damaged(what);
    ::unlink(path.c_str());
    return false;
  }

  Status ensure_blob(const Layer& layer, const std::string& path, std::string_view what) {
    CHECK(surroundings_.check());
    if (TRY(has_blob(layer, path, what))) return {};
    Partial file = TRY(partial(layer));
    if (TRY(has_blob(layer, path, what))) {
      ::unlink(file.path.c_str());
      return {};
    }
    return anywhere(source_.urls, [&](Registry& registry) -> Status {
      Step step(surroundings_,
                fmt::format("Fetching {} of {} from {}", what, name_, registry.shown()));
      struct stat info {};
      const bool resumed = ::stat(file.path.c_str(), &info) == 0 && info.st_size > 0;
      auto done = download(registry, layer, file.path, what);
      // What was there may be no part of it, or all of it already.
      if (resumed && is_of_no_use(done, file)) done = download(registry, layer, file.path, what);
      if (!done) {
        is_of_no_use(done, file);
        return done;
      }
      if (::rename(file.path.c_str(), path.c_str()) != 0) return fail_errno(errno, path);
      step.success();
      return {};
    });
  }

  // Whether what is in the file can't become the layer; it is emptied then.
  static bool is_of_no_use(const Status& done, const Partial& file) {
    if (done || (done.error().reason != "wrong-checksum" && done.error().reason != "too-large" &&
                 done.error().reason != "no-such-range"))
      return false;
    return ::ftruncate(file.lock.get(), 0) == 0;
  }

  Status download(Registry& registry, const Layer& layer, const std::string& file,
                  std::string_view what) {
    Registry::Wanted wanted;
    wanted.path = "blobs/" + layer.digest;
    wanted.file = file;
    wanted.resume = true;
    wanted.max_bytes = layer.size;
    CHECK(registry.get(wanted));
    const std::string digest = TRY(digest_of(file));
    if (digest == layer.digest) return {};
    return error("wrong-checksum", fmt::format("The {} from {} is corrupt; got content hash of {}, "
                                               "not {}",
                                               what, registry.shown(), digest, layer.digest));
  }

  const model::Source& source_;
  Surroundings& surroundings_;
  std::string mirror_;
  std::string name_;
  std::string digest_;
  std::map<std::string, Registry> registries_;  // by URL
};

}  // namespace

Result<std::optional<Found>> track(const model::Source& source, Surroundings& surroundings) {
  return Image(source, surroundings).track();
}

Result<bool> cached(const model::Source& source, Surroundings& surroundings) {
  return Image(source, surroundings).cached();
}

Status fetch(const model::Source& source, Surroundings& surroundings) {
  CHECK(Image(source, surroundings).ensure());
  return {};
}

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  const auto files = TRY(Image(source, surroundings).ensure());
  std::string list;
  for (const std::string& file : files) (list += file) += '\0';
  const std::string directory = TRY(surroundings.directory("unpacked"));
  const std::string apart = TRY(surroundings.directory("layers"));
  return stage_unpacked(source, surroundings,
                        {"--layers", place_of(source, source.url).image, directory, apart},
                        directory, list);
}

}  // namespace sluice::sources::docker
