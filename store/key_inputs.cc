#include "store/key_inputs.h"

#include <algorithm>
#include <ctime>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/sha256.h"
#include "base/try.h"
#include "store/fs.h"
#include "store/refs.h"
#include "yaml/json.h"

namespace sluice::store {

namespace {

constexpr char kPlace[] = "sluice/key-inputs";
constexpr std::time_t kFresh = 3600;

std::string path_of(std::string_view key) {
  return fmt::format("{}/{}/{}", kPlace, key.substr(0, 2), key.substr(2));
}

}  // namespace

std::string key_of(std::string_view inputs, std::span<const KeyDependency> dependencies,
                   std::string_view weak_key) {
  const std::size_t version = std::min(inputs.find(','), inputs.size());
  std::string list = ",\"dependencies\":[";
  for (const KeyDependency& dependency : dependencies) {
    list += list.back() == '[' ? "[" : ",[";
    yaml::json_string(list, dependency.project);
    list += ',';
    yaml::json_string(list, dependency.element);
    list += ',';
    yaml::json_string(list, dependency.key);
    list += ']';
  }
  list += ']';
  Sha256 hash;
  hash.update(inputs.substr(0, version));
  hash.update(list);
  inputs.remove_prefix(version);
  if (inputs.ends_with('}')) inputs.remove_suffix(1);
  hash.update(inputs);
  hash.update(",\"weak-cache-key\":\"");
  hash.update(weak_key);
  hash.update("\"}");
  return hash.hex();
}

Status keep_key_inputs(Cas& cas, std::string_view key, std::string_view inputs) {
  if (!valid_key(key))
    return fail("artifact", "bad-artifact", fmt::format("'{}' is not a key", key));
  return write_ref(cas, path_of(key), inputs);
}

Result<std::optional<std::string>> read_key_inputs(const Cas& cas, std::string_view key) {
  if (!valid_key(key)) return std::nullopt;
  return read_ref(cas, path_of(key));
}

void drop_key_inputs(const Cas& cas, std::string_view key) {
  if (!valid_key(key)) return;
  const std::string path = cas.cachedir() + "/" + path_of(key);
  if (::unlink(path.c_str()) == 0) ::rmdir(path.substr(0, path.rfind('/')).c_str());
}

Status sweep_key_inputs(const Cas& cas, const std::unordered_set<std::string>& keys) {
  const std::time_t now = std::time(nullptr);
  auto top = fs::open_directory(cas.cachedir() + "/" + kPlace, true);
  if (!top) return {};  // nothing was ever kept
  auto folders = TRY(fs::list(top->get()));
  for (const auto& [folder, type] : folders) {
    UniqueFd fd(
        ::openat(top->get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) continue;
    auto names = TRY(fs::list(fd.get()));
    for (const auto& [name, kind] : names) {
      struct stat info {};
      if (keys.contains(folder + name) ||
          ::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      if (info.st_mtime + kFresh < now) ::unlinkat(fd.get(), name.c_str(), 0);
    }
  }
  return {};
}

}  // namespace sluice::store
