// Layers of an image become one tree (buildstream_plugins/sources/docker.py). What a layer takes
// away from those before it is known by names alone, as they are written: of a directory that is
// taken away what lies in it stays, unless the directory is opaque.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <unordered_map>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/try.h"
#include "jobs/unpack.h"

namespace sluice::jobs {

namespace {

// A layer's members that are wanted, by their names, of several of one name the last; and what it
// takes away from the layers before it.
struct Layer {
  std::string shown;
  std::size_t members = 0;
  std::unordered_map<std::string, std::size_t> wanted;
  std::vector<std::string> removed;
  std::vector<std::string> opaque;  // beginnings of names
};

Result<Layer> look(const std::string& archive, const UnpackOptions& options) {
  Layer layer;
  const auto members = TRY(list_layer(archive, options));
  layer.members = members.size();
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::string& name = members[i].name;
    const std::size_t slash = name.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : name.substr(0, slash + 1);
    const std::string_view base = std::string_view(name).substr(directory.size());
    if (base == ".wh..wh..opq") {
      layer.opaque.push_back(directory);
    } else if (base.starts_with(".wh.")) {
      layer.removed.push_back(directory + std::string(base.substr(4)));
    } else if (!name.starts_with("dev/") && !members[i].device) {
      layer.wanted[name] = i;
    }
  }
  return layer;
}

void take_away(Layer& from, const Layer& by) {
  for (const std::string& prefix : by.opaque)
    std::erase_if(from.wanted,
                  [&](const auto& member) { return member.first.starts_with(prefix); });
  for (const std::string& name : by.removed) from.wanted.erase(name);
}

Result<std::vector<std::string>> names_in(int directory) {
  // The stream takes the descriptor, and its place in the directory is the one's that is given.
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy),
                                                   &::closedir);
  if (!stream) return fail_errno(errno, "a layer's directory");
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return fail_errno(errno, "a layer's directory");
  std::sort(names.begin(), names.end());
  return names;
}

class Merge {
 public:
  explicit Merge(const std::string& shown) : shown_(shown) {}

  // Moves what is in `from` into `to`, over what is there: files and links replace all but
  // directories in which something is, directories nothing.
  Status directory(int from, int to, const std::string& path) {
    for (const std::string& name : TRY(names_in(from))) {
      const std::string at = path + "/" + name;
      struct stat one {};
      struct stat other {};
      if (::fstatat(from, name.c_str(), &one, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(errno, at);
      const bool there = ::fstatat(to, name.c_str(), &other, AT_SYMLINK_NOFOLLOW) == 0;
      if (!there && errno != ENOENT) return fail_errno(errno, at);
      if (there && S_ISDIR(one.st_mode)) {
        if (!S_ISDIR(other.st_mode)) {
          return fail("source", "layers-clash",
                      fmt::format("{}: Destination is a {}, not a directory: {}", shown_,
                                  S_ISLNK(other.st_mode) ? "symlink" : "regular file", at));
        }
        const UniqueFd inner(open(from, name));
        const UniqueFd outer(open(to, name));
        if (!inner || !outer) return fail_errno(errno, at);
        CHECK(directory(inner.get(), outer.get(), at));
        continue;
      }
      if (there && ::unlinkat(to, name.c_str(), S_ISDIR(other.st_mode) ? AT_REMOVEDIR : 0) != 0) {
        if (errno == ENOTEMPTY || errno == EEXIST) continue;
        return fail_errno(errno, at);
      }
      if (::renameat(from, name.c_str(), to, name.c_str()) != 0) return fail_errno(errno, at);
    }
    return {};
  }

 private:
  static int open(int at, const std::string& name) {
    return ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
  const std::string& shown_;
};

}  // namespace

Status unpack_layers(const std::vector<std::string>& archives, const std::string& directory,
                     const std::string& scratch, const UnpackOptions& options) {
  // Directories are open along the whole way down, in two trees.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  std::vector<Layer> layers;
  for (const std::string& archive : archives) {
    UnpackOptions own = options;
    own.shown = fmt::format("{}, layer {}", options.shown, archive.substr(archive.rfind('/') + 1));
    Layer layer = TRY(look(archive, own));
    layer.shown = own.shown;
    for (Layer& before : layers) take_away(before, layer);
    layers.push_back(std::move(layer));
  }
  std::uint64_t bytes = 0;
  const UniqueFd whole(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!whole) return fail_errno(errno, directory);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    if (layer.wanted.empty()) continue;
    std::vector<bool> selected(layer.members);
    for (const auto& member : layer.wanted) selected[member.second] = true;
    const std::string apart = fmt::format("{}/{}", scratch, i);
    if (::mkdir(apart.c_str(), 0755) != 0) return fail_errno(errno, apart);
    UnpackOptions own = options;
    own.shown = layer.shown;
    bytes = TRY(unpack_layer(archives[i], apart, own, selected, bytes));
    const UniqueFd unpacked(::open(apart.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!unpacked) return fail_errno(errno, apart);
    CHECK(Merge(layer.shown).directory(unpacked.get(), whole.get(), ""));
  }
  return {};
}

}  // namespace sluice::jobs
