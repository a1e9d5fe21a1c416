#include "project/kept_file.h"

#include <algorithm>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/sha256.h"
#include "project/lookups.h"

namespace sluice::project {

namespace {

constexpr std::string_view kMagic = "SLKEPT1\n";
constexpr std::size_t kChecksum = 64;

}  // namespace

std::uint64_t KeptReader::number(int bytes) {
  const auto count = static_cast<std::size_t>(bytes);
  if (rest_.size() < count) {
    good_ = false;
    rest_ = {};
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = count; i > 0; --i)
    value = (value << 8) | static_cast<unsigned char>(rest_[i - 1]);
  rest_.remove_prefix(count);
  return value;
}

std::string_view KeptReader::text() { return bytes(number(4)); }

std::string_view KeptReader::bytes(std::size_t size) {
  if (size > rest_.size()) {
    good_ = false;
    rest_ = {};
    return {};
  }
  const std::string_view found = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return found;
}

void kept_number(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void kept_text(std::string& out, std::string_view text) {
  kept_number(out, text.size(), 4);
  out += text;
}

const std::string& build_identity() {
  // The identity is the program's file: a build writes it anew. Its libraries go with the system's
  // packages.
  static const std::string kIdentity = [] {
    struct stat info {};
    if (::stat("/proc/self/exe", &info) != 0) return std::string();
    const FileStamp stamp = FileStamp::of(info);
    return fmt::format("{} {} {} {}", stamp.device, stamp.inode, stamp.size, stamp.mtime_ns);
  }();
  return kIdentity;
}

KeptFiles::KeptFiles(std::string folder, std::uint64_t most_bytes)
    : folder_(fmt::format("{}/sluice/{}", cache_home(), folder)), most_bytes_(most_bytes) {}

std::optional<std::string> KeptFiles::read(const std::string& name) const {
  const std::string path = fmt::format("{}/{}", folder_, name);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != ::geteuid())
    return std::nullopt;
  if (static_cast<std::uint64_t>(info.st_size) > most_bytes_) return std::nullopt;
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    size += static_cast<std::size_t>(count);
  }
  const std::string_view all = bytes;
  if (!all.starts_with(kMagic) || all.size() < kMagic.size() + kChecksum) return std::nullopt;
  const std::string_view covered = all.substr(kMagic.size() + kChecksum);
  KeptReader reader(covered);
  if (reader.text() != build_identity() || !reader.good()) return std::nullopt;
  if (sha256_hex(covered) != all.substr(kMagic.size(), kChecksum)) return std::nullopt;
  // A file that was read was of use; files that were of no use for longest go first.
  ::futimens(fd.get(), nullptr);
  bytes.erase(0, bytes.size() - reader.rest().size());
  return bytes;
}

void KeptFiles::write(const std::string& name, std::string_view first,
                      std::string_view second) const {
  std::string head;
  kept_text(head, build_identity());
  const std::size_t size = kMagic.size() + kChecksum + head.size() + first.size() + second.size();
  if (build_identity().empty() || size > most_bytes_ / 2) return;
  if (!make_directories(folder_, 0700)) return;
  make_room(size);
  Sha256 hash;
  hash.update(head);
  hash.update(first);
  hash.update(second);
  const std::string path = fmt::format("{}/{}", folder_, name);
  std::string beside = path + ".XXXXXX";
  UniqueFd fd(::mkostemp(beside.data(), O_CLOEXEC));
  if (!fd) return;
  const std::string checksum = hash.hex();
  bool written = true;
  for (const std::string_view part :
       {kMagic, std::string_view(checksum), std::string_view(head), first, second}) {
    written = written && write_all(fd.get(), part).has_value();
  }
  fd.reset();
  if (!written || ::rename(beside.c_str(), path.c_str()) != 0) ::unlink(beside.c_str());
}

void KeptFiles::make_room(std::uint64_t bytes) const {
  struct Found {
    std::string name;
    std::uint64_t size;
    std::int64_t used_ns;
  };
  DIR* stream = ::opendir(folder_.c_str());
  if (stream == nullptr) return;
  std::vector<Found> found;
  std::uint64_t total = bytes;
  while (const dirent* entry = ::readdir(stream)) {
    struct stat info {};
    if (::fstatat(::dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(info.st_mode))
      continue;
    const FileStamp stamp = FileStamp::of(info);
    found.push_back({entry->d_name, stamp.size, stamp.mtime_ns});
    total += stamp.size;
  }
  if (total > most_bytes_) {
    std::sort(found.begin(), found.end(),
              [](const Found& a, const Found& b) { return a.used_ns < b.used_ns; });
    for (const Found& file : found) {
      if (total <= most_bytes_) break;
      if (::unlinkat(::dirfd(stream), file.name.c_str(), 0) == 0) total -= file.size;
    }
  }
  ::closedir(stream);
}

}  // namespace sluice::project
