#include "store/cas.h"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"
#include "store/fs.h"
#include "store/space.h"

namespace sluice::store {

namespace {

// Files up to this size are read into memory, others in parts of it: they stay in the processor's
// cache from being read to being hashed and written.
constexpr std::int64_t kSmall = std::int64_t{1} << 18;
constexpr std::int64_t kTouchInterval = std::int64_t{3600} * 1'000'000'000;

// An object's path below cas/objects, "ab/cdef...".
std::string relative_path(const std::string& hash) {
  return hash.substr(0, 2) + "/" + hash.substr(2);
}

tl::unexpected<Error> missing(const Digest& digest) {
  return fail("cas", "missing-blob",
              fmt::format("Blob {} of {} bytes is not in the store", digest.hash, digest.size));
}

// A buffer of each thread, for kSmall bytes and one more, which shows that there is more.
char* buffer() {
  static thread_local const std::unique_ptr<char[]> kept(new char[kSmall + 1]);
  return kept.get();
}

// Reads up to `limit` bytes; fewer only at the end.
Result<std::int64_t> fill(int fd, char* to, std::int64_t limit) {
  std::int64_t have = 0;
  while (have < limit) {
    const ssize_t n = ::read(fd, to + have, static_cast<std::size_t>(limit - have));
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "cannot read");
    }
    have += n;
  }
  return have;
}

// Hashes from the descriptor's offset on and writes what it reads to `copy` unless that is -1.
Result<Digest> hash_fd(int fd, int copy) {
  Sha256 sum;
  Digest digest;
  char* const part = buffer();
  while (true) {
    auto have = TRY(fill(fd, part, kSmall));
    const std::string_view bytes(part, static_cast<std::size_t>(have));
    sum.update(bytes);
    digest.size += have;
    if (copy >= 0 && !bytes.empty()) {
      CHECK(write_all(copy, bytes));
    }
    if (have < kSmall) break;
  }
  digest.hash = sum.hex();
  return digest;
}

// Makes the empty file `to` share all bytes of `from`, where the filesystem can.
bool reflink(int from, int to) { return ::ioctl(to, FICLONE, from) == 0; }

}  // namespace

bool valid_digest(const Digest& digest) {
  if (digest.hash.size() != 64 || digest.size < 0) return false;
  for (const char c : digest.hash) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

Digest digest_of(std::string_view data) {
  return {sha256_hex(data), static_cast<std::int64_t>(data.size())};
}

Result<Digest> digest_of_fd(int fd) { return hash_fd(fd, -1); }

const Digest& empty_digest() {
  static const Digest kEmpty = digest_of({});
  return kEmpty;
}

struct Cas::State {
  std::string cachedir;
  CasOptions options;
  UniqueFd objects;  // cas/objects
  std::optional<Space> space;
  std::int64_t since_ns = 0;
  std::string temporary;
  UniqueFd temporary_lock;
  std::atomic<unsigned> counter{0};

  Status make_temporary();
  Status publish(const std::string& from, int fd, const Digest& digest);
  void unlink_object(const Digest& digest);
  // Touches as Cas::touch(); with `now` the access time isn't older than this store's opening.
  bool touch(const Digest& digest, bool now) const;
  bool present(const Digest& digest, struct stat& info) const;
  // Opens the object for reading, as openat(2).
  UniqueFd open_object(const Digest& digest) const;

  ~State() {
    // A directory goes only when it is empty; what a caller still has there is swept later.
    if (temporary_lock) ::rmdir(temporary.c_str());
  }
};

Cas::Cas(std::unique_ptr<State> state) : state_(std::move(state)) {}
Cas::Cas(Cas&&) noexcept = default;
Cas& Cas::operator=(Cas&&) noexcept = default;
Cas::~Cas() = default;

Result<Cas> Cas::open(const std::string& cachedir, CasOptions options) {
  if (cachedir.empty() || cachedir.front() != '/') {
    return fail("cas", "bad-cachedir",
                fmt::format("The cache directory must be an absolute path: '{}'", cachedir));
  }
  auto state = std::make_unique<State>();
  state->cachedir = cachedir;
  state->options = options;
  const std::string objects = cachedir + "/cas/objects";
  CHECK(make_directories(objects));
  CHECK(make_directories(cachedir + "/sluice/tmp"));
  state->objects = TRY(fs::open_directory(objects, true));
  auto space = TRY(Space::open(cachedir));
  state->space.emplace(std::move(space));
  CHECK(state->make_temporary());
  return Cas(std::move(state));
}

// Makes the directory of temporary files, which belongs to this process as long as it holds the
// lock. Between mkdir and flock a sweeper may take it away: then there is another try.
Status Cas::State::make_temporary() {
  static std::atomic<unsigned> serial{0};
  since_ns = fs::stamp_now_ns();
  for (int attempt = 0; attempt < 1000; ++attempt) {
    temporary = fmt::format("{}/sluice/tmp/{}-{}-{}", cachedir, ::getpid(), serial++, since_ns);
    if (::mkdir(temporary.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      return fail_errno(errno, temporary);
    }
    UniqueFd fd(::open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) {
      if (errno == ENOENT) continue;
      return fail_errno(errno, temporary);
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    struct stat by_fd {};
    struct stat by_name {};
    if (::fstat(fd.get(), &by_fd) != 0 || ::stat(temporary.c_str(), &by_name) != 0 ||
        by_fd.st_ino != by_name.st_ino) {
      continue;
    }
    temporary_lock = std::move(fd);
    return {};
  }
  return fail("cas", "no-temporary",
              fmt::format("cannot make a temporary directory in {}/sluice/tmp", cachedir));
}

const std::string& Cas::cachedir() const { return state_->cachedir; }

std::string Cas::object_path(const Digest& digest) const {
  assert(valid_digest(digest));
  return state_->cachedir + "/cas/objects/" + relative_path(digest.hash);
}

// Names have the process's number: children that were forked from it use the same directory.
std::string Cas::temporary_name() {
  return fmt::format("{}/{}-{}", state_->temporary, ::getpid(), state_->counter++);
}

bool Cas::State::present(const Digest& digest, struct stat& info) const {
  if (!valid_digest(digest)) return false;
  return ::fstatat(objects.get(), relative_path(digest.hash).c_str(), &info, AT_SYMLINK_NOFOLLOW) ==
             0 &&
         S_ISREG(info.st_mode) && info.st_size == digest.size;
}

UniqueFd Cas::State::open_object(const Digest& digest) const {
  const std::string path = relative_path(digest.hash);
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  if (options.keep_access_times) {
    UniqueFd fd(::openat(objects.get(), path.c_str(), kFlags | O_NOATIME));
    if (fd || errno != EPERM) return fd;  // EPERM: another user's object
  }
  return UniqueFd(::openat(objects.get(), path.c_str(), kFlags));
}

bool Cas::contains(const Digest& digest) const {
  struct stat info {};
  return state_->present(digest, info);
}

bool Cas::State::touch(const Digest& digest, bool now) const {
  struct stat info {};
  if (!present(digest, info)) return false;
  if (options.keep_access_times) return true;
  const std::int64_t accessed = fs::to_ns(info.st_atim);
  if (accessed > fs::wall_now_ns() - kTouchInterval && (!now || accessed >= since_ns)) return true;
  const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  // A time that can't be renewed (of another user's object) leaves the object older than it is, no
  // more.
  ::utimensat(objects.get(), relative_path(digest.hash).c_str(), times, AT_SYMLINK_NOFOLLOW);
  return true;
}

bool Cas::touch(const Digest& digest) const { return state_->touch(digest, false); }

// Gives the temporary file its final form and name.
Status Cas::State::publish(const std::string& from, int fd, const Digest& digest) {
  const timespec times[2] = {{0, UTIME_NOW}, {kFixedMtime, 0}};
  struct stat info {};
  if (::fstat(fd, &info) != 0 || ((info.st_mode & 07777) != 0444 && ::fchmod(fd, 0444) != 0) ||
      ::futimens(fd, times) != 0) {
    return fail_errno(errno, from);
  }
  CHECK(space->make_room(static_cast<std::uint64_t>(digest.size)));
  const std::string to = relative_path(digest.hash);
  if (::renameat(AT_FDCWD, from.c_str(), objects.get(), to.c_str()) == 0) return {};
  if (errno == ENOENT &&
      (::mkdirat(objects.get(), to.substr(0, 2).c_str(), 0777) == 0 || errno == EEXIST) &&
      ::renameat(AT_FDCWD, from.c_str(), objects.get(), to.c_str()) == 0) {
    return {};
  }
  const int cause = errno;
  space->remove(static_cast<std::uint64_t>(digest.size));
  return fail_errno(cause, "cannot add an object to the store");
}

void Cas::State::unlink_object(const Digest& digest) {
  struct stat info {};
  const std::string path = relative_path(digest.hash);
  if (::fstatat(objects.get(), path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (::unlinkat(objects.get(), path.c_str(), 0) == 0)
    space->remove(static_cast<std::uint64_t>(info.st_size));
}

Result<Digest> Cas::add(std::string_view data) {
  Digest digest = digest_of(data);
  if (state_->touch(digest, true)) return digest;
  const std::string temporary = temporary_name();
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!fd) return fail_errno(errno, temporary);
  auto done = write_all(fd.get(), data);
  if (done) done = state_->publish(temporary, fd.get(), digest);
  if (!done) {
    ::unlink(temporary.c_str());
    return forward(done);
  }
  return digest;
}

Result<Digest> Cas::add_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail_errno(errno, path);
  auto digest = add_fd(fd.get());
  if (!digest) digest.error().message = path + ": " + digest.error().message;
  return digest;
}

Result<Digest> Cas::add_fd(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno(errno, "cannot add a file to the store");
  if (!S_ISREG(info.st_mode)) return fail("cas", "not-a-file", "not a regular file");
  if (info.st_size <= kSmall) {
    auto have = TRY(fill(fd, buffer(), info.st_size + 1));
    if (have <= info.st_size) return add({buffer(), static_cast<std::size_t>(have)});
    // The file has grown since it was looked at.
    if (::lseek(fd, -have, SEEK_CUR) < 0)
      return fail_errno(errno, "cannot add a file to the store");
  }
  // The file is read once: what the store has already is written in vain, which is rarer than that
  // it hasn't. The digest is that of the copy, as the file may be changing.
  const std::string temporary = temporary_name();
  UniqueFd copy(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!copy) return fail_errno(errno, temporary);
  const bool shared = ::lseek(fd, 0, SEEK_CUR) == 0 && reflink(fd, copy.get());
  auto digest = shared ? hash_fd(copy.get(), -1) : hash_fd(fd, copy.get());
  const bool present = digest && state_->touch(*digest, true);
  Status done;
  if (digest && !present) done = state_->publish(temporary, copy.get(), *digest);
  if (!digest || present || !done) ::unlink(temporary.c_str());
  if (!done) return forward(done);
  return digest;
}

Result<Digest> Cas::take(int directory, const std::string& path, int fd) {
  struct stat info {
  }, objects{};
  if (::fstat(fd, &info) != 0 || ::fstat(state_->objects.get(), &objects) != 0) {
    return fail_errno(errno, "cannot add a file to the store");
  }
  const ssize_t attributes = ::flistxattr(fd, nullptr, 0);
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1 || info.st_uid != ::geteuid() ||
      info.st_dev != objects.st_dev || attributes > 0) {
    return add_fd(fd);
  }
  auto digest = TRY(digest_of_fd(fd));
  if (state_->touch(digest, true)) return digest;
  const std::string temporary = temporary_name();
  if (::renameat(directory, path.c_str(), AT_FDCWD, temporary.c_str()) != 0)
    return fail_errno(errno, path);
  struct stat moved {};
  if (::lstat(temporary.c_str(), &moved) != 0 || moved.st_ino != info.st_ino ||
      moved.st_dev != info.st_dev || moved.st_size != digest.size) {
    ::unlink(temporary.c_str());
    return fail("cas", "changed", path + ": changed while it was entered into the store");
  }
  if (auto done = state_->publish(temporary, fd, digest); !done) {
    ::unlink(temporary.c_str());
    return forward(done);
  }
  return digest;
}

struct Cas::Incoming::Open {
  State* store = nullptr;
  Digest digest;
  std::string path;
  UniqueFd fd;
  Sha256 sum;
  std::int64_t received = 0;

  ~Open() {
    if (fd) ::unlink(path.c_str());
  }
};

Cas::Incoming::Incoming(std::unique_ptr<Open> open) : open_(std::move(open)) {}
Cas::Incoming::Incoming(Incoming&&) noexcept = default;
Cas::Incoming& Cas::Incoming::operator=(Incoming&&) noexcept = default;
Cas::Incoming::~Incoming() = default;

std::int64_t Cas::Incoming::received() const { return open_->received; }

Status Cas::Incoming::append(std::string_view part) {
  if (static_cast<std::int64_t>(part.size()) > open_->digest.size - open_->received) {
    return fail(
        "cas", "corrupt-blob",
        fmt::format("Blob {} is longer than its {} bytes", open_->digest.hash, open_->digest.size));
  }
  CHECK(write_all(open_->fd.get(), part));
  open_->sum.update(part);
  open_->received += static_cast<std::int64_t>(part.size());
  return {};
}

Status Cas::Incoming::finish() {
  if (open_->received != open_->digest.size) {
    return fail("cas", "corrupt-blob",
                fmt::format("Of blob {} came {} of {} bytes", open_->digest.hash, open_->received,
                            open_->digest.size));
  }
  const std::string hash = open_->sum.hex();
  if (hash != open_->digest.hash) {
    return fail("cas", "corrupt-blob",
                fmt::format("Blob {} came with the content of {}", open_->digest.hash, hash));
  }
  CHECK(open_->store->publish(open_->path, open_->fd.get(), open_->digest));
  open_->fd.reset();
  return {};
}

Result<Cas::Incoming> Cas::receive(const Digest& digest) {
  if (!valid_digest(digest))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", digest.hash));
  auto open = std::make_unique<Incoming::Open>();
  open->store = state_.get();
  open->digest = digest;
  open->path = temporary_name();
  open->fd = UniqueFd(::open(open->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!open->fd) return fail_errno(errno, open->path);
  return Incoming(std::move(open));
}

Result<UniqueFd> Cas::open_blob(const Digest& digest) const {
  if (!valid_digest(digest))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", digest.hash));
  UniqueFd fd = state_->open_object(digest);
  if (!fd) {
    if (errno == ENOENT || errno == ELOOP) return missing(digest);
    return fail_errno(errno, object_path(digest));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size != digest.size)
    return missing(digest);
  if (state_->options.verify_on_read) {
    if (auto good = verify(digest); !good) return missing(digest);
  }
  return fd;
}

Status Cas::copy_to(const Digest& digest, int to) const {
  auto from = TRY(open_blob(digest));
  Result<Digest> found = Digest{};
  if (digest.size <= kSmall) {
    auto have = TRY(fill(from.get(), buffer(), digest.size + 1));
    const std::string_view data(buffer(), static_cast<std::size_t>(have));
    found = digest_of(data);
    if (*found == digest) return write_all(to, data);
  } else {
    found = reflink(from.get(), to) ? hash_fd(to, -1) : hash_fd(from.get(), to);
    if (!found) return forward(found);
    if (*found == digest) return {};
  }
  return discard(digest, from.get());
}

tl::unexpected<Error> Cas::discard(const Digest& digest, int fd) const {
  // Only that very file goes: by now somebody may have put the right one in its place.
  struct stat open {
  }, named{};
  const std::string path = relative_path(digest.hash);
  if (::fstat(fd, &open) == 0 &&
      ::fstatat(state_->objects.get(), path.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
      open.st_ino == named.st_ino && open.st_dev == named.st_dev) {
    state_->unlink_object(digest);
  }
  return fail("cas", "missing-blob",
              fmt::format("Blob {} was damaged in the store and has been removed", digest.hash));
}

Result<std::string> Cas::read(const Digest& digest) const {
  if (!valid_digest(digest))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", digest.hash));
  UniqueFd fd = state_->open_object(digest);
  if (!fd) {
    if (errno == ENOENT || errno == ELOOP) return missing(digest);
    return fail_errno(errno, object_path(digest));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size != digest.size)
    return missing(digest);
  auto data = TRY(read_all(fd.get()));
  if (static_cast<std::int64_t>(data.size()) != digest.size || sha256_hex(data) != digest.hash)
    return discard(digest, fd.get());
  return data;
}

Status Cas::verify(const Digest& digest) const {
  if (!valid_digest(digest))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", digest.hash));
  UniqueFd fd = state_->open_object(digest);
  if (!fd) {
    if (errno == ENOENT) return missing(digest);
    return fail_errno(errno, object_path(digest));
  }
  auto found = TRY(hash_fd(fd.get(), -1));
  if (found == digest) return {};
  if (state_->options.verify_on_read) state_->unlink_object(digest);
  return fail("cas", "corrupt-blob",
              fmt::format("Object {} of {} bytes has the content of {} with {} bytes", digest.hash,
                          digest.size, found.hash, found.size));
}

Status Cas::remove(const Digest& digest) {
  if (!valid_digest(digest))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", digest.hash));
  if (::unlinkat(state_->objects.get(), relative_path(digest.hash).c_str(), 0) == 0) {
    state_->space->remove(static_cast<std::uint64_t>(digest.size));
  } else if (errno != ENOENT) {
    return fail_errno(errno, object_path(digest));
  }
  return {};
}

Result<unsigned> Cas::sweep_temporary() {
  const std::string place = state_->cachedir + "/sluice/tmp";
  auto directory = TRY(fs::open_directory(place));
  auto names = TRY(fs::list(directory.get()));
  unsigned swept = 0;
  for (const auto& [name, type] : names) {
    UniqueFd fd(
        ::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    CHECK(remove_tree(place + "/" + name));
    ++swept;
  }
  return swept;
}

}  // namespace sluice::store
