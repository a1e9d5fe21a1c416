#include "store/space.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/try.h"
#include "store/fs.h"
#include "store/quota.h"

namespace sluice::store {

namespace {

constexpr std::uint64_t kMagic = 0x31656761'73756c73;  // "slusage1"
constexpr std::size_t kPageSize = 4096;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;
constexpr std::int64_t kFloorHolds = 2 * kSecond;
constexpr std::uint64_t kLookAfter = std::uint64_t{4} << 20;

std::uint64_t this_boot() {
  const auto id = read_file("/proc/sys/kernel/random/boot_id");
  return id ? std::hash<std::string>()(*id) : 0;
}

}  // namespace

// The page of a new file is all zero.
struct Space::Page {
  std::atomic<std::uint64_t> magic;
  std::atomic<std::int64_t> used;  // may be below 0 for an instant; meaningless without `counted`
  std::atomic<std::int64_t> counted_ns;  // when it was counted; 0: never
  std::atomic<std::uint64_t> boot;       // the boot in which it was counted
  std::atomic<std::uint64_t> quota, reserved;
  std::atomic<std::uint32_t> low_watermark;
  std::atomic<std::uint64_t> since_look;  // bytes that were added since the disk was looked at
  std::atomic<std::uint64_t> expiries;
  std::atomic<std::uint64_t> floor;
  std::atomic<std::int64_t> floor_ns;
};

Result<Space> Space::open(const std::string& cachedir) {
  static_assert(sizeof(Page) <= kPageSize && std::atomic<std::int64_t>::is_always_lock_free);
  const std::string path = cachedir + "/sluice/usage";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno(errno, path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, path);
  // The file gets blocks of its own: a page of a file with holes ends the process when the disk is
  // full.
  if (info.st_size != static_cast<off_t>(kPageSize)) {
    if (const int error = ::posix_fallocate(fd.get(), 0, kPageSize); error != 0)
      return fail_errno(error, path);
  }
  void* page = ::mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (page == MAP_FAILED) return fail_errno(errno, path);
  auto* const mapped = static_cast<Page*>(page);
  std::uint64_t nothing = 0;
  if (!mapped->magic.compare_exchange_strong(nothing, kMagic) && nothing != kMagic) {
    // A page of another version, or a damaged one, is taken as new.
    std::memset(page, 0, kPageSize);
    mapped->magic = kMagic;
  }
  return Space(mapped, cachedir);
}

Space::Space(Space&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)), cachedir_(std::move(other.cachedir_)) {}

Space::~Space() {
  if (page_ != nullptr) ::munmap(page_, kPageSize);
}

CacheLimits Space::limits() const { return {page_->quota, page_->reserved, page_->low_watermark}; }

void Space::set_limits(const CacheLimits& limits) {
  page_->quota = limits.quota;
  page_->reserved = limits.reserved;
  page_->low_watermark = limits.low_watermark;
  page_->since_look = kLookAfter;
  page_->floor_ns = 0;
}

std::optional<std::uint64_t> Space::used() const {
  if (page_->counted_ns == 0) return std::nullopt;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(page_->used, 0));
}

bool Space::outdated() const {
  const std::int64_t now = fs::wall_now_ns();
  const std::int64_t counted = page_->counted_ns;
  return counted == 0 || counted > now || now - counted > kDay || page_->boot != this_boot();
}

void Space::add(std::uint64_t bytes) {
  page_->used += static_cast<std::int64_t>(bytes);
  page_->since_look += bytes;
}

void Space::remove(std::uint64_t bytes) {
  page_->used -= static_cast<std::int64_t>(bytes);
  page_->floor_ns = 0;
}

void Space::set_counted(std::uint64_t bytes, std::optional<std::uint64_t> before) {
  // Nobody knows whether what came meanwhile was seen: too much is counted rather than too little.
  const std::int64_t now = page_->used;
  const std::int64_t came =
      before ? std::max<std::int64_t>(now - static_cast<std::int64_t>(*before), 0) : 0;
  page_->used = static_cast<std::int64_t>(bytes) + came;
  page_->boot = this_boot();
  page_->counted_ns = fs::wall_now_ns();
}

bool Space::take(std::uint64_t bytes) {
  const std::uint64_t quota = page_->quota;
  const std::uint64_t reserved = page_->reserved;
  const std::int64_t used = page_->used += static_cast<std::int64_t>(bytes);
  bool fits =
      quota == 0 || (page_->counted_ns != 0 &&
                     used <= static_cast<std::int64_t>(std::min<std::uint64_t>(quota, INT64_MAX)));
  if (fits && reserved > 0 && page_->since_look.fetch_add(bytes) + bytes >= kLookAfter) {
    page_->since_look = 0;
    const auto most = allowed(static_cast<std::uint64_t>(std::max<std::int64_t>(used, 0)));
    // The disk can't be asked; make_room() says so.
    fits = most && *most && static_cast<std::uint64_t>(std::max<std::int64_t>(used, 0)) <= **most;
    if (!fits) page_->since_look = kLookAfter;
  }
  if (!fits) page_->used -= static_cast<std::int64_t>(bytes);
  return fits;
}

Status Space::make_room(std::uint64_t bytes) {
  if (take(bytes)) return {};
  return expire_for(cachedir_, bytes);
}

Result<std::optional<std::uint64_t>> Space::allowed(std::uint64_t used) const {
  const CacheLimits limits = this->limits();
  std::optional<std::uint64_t> most;
  if (limits.quota > 0) most = limits.quota;
  if (limits.reserved == 0) return most;
  struct statvfs disk {};
  if (::statvfs(cachedir_.c_str(), &disk) != 0)
    return fail_errno(errno, "Failed to retrieve stats on volume for path " + cachedir_);
  const std::uint64_t left = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::uint64_t by_disk = used + left > limits.reserved ? used + left - limits.reserved : 0;
  return std::min(most.value_or(UINT64_MAX), by_disk);
}

std::uint64_t Space::expiries() const { return page_->expiries; }
void Space::note_expiry() { ++page_->expiries; }

void Space::note_floor(std::uint64_t bytes) {
  page_->floor = bytes;
  page_->floor_ns = fs::wall_now_ns();
}

std::optional<std::uint64_t> Space::recent_floor() const {
  const std::int64_t noted = page_->floor_ns;
  const std::int64_t now = fs::wall_now_ns();
  if (noted == 0 || noted > now || now - noted > kFloorHolds) return std::nullopt;
  return page_->floor.load();
}

Status limit_store(const std::string& cachedir, const CacheLimits& limits) {
  CHECK(make_directories(cachedir + "/sluice"));
  auto space = TRY(Space::open(cachedir));
  space.set_limits(limits);
  return {};
}

}  // namespace sluice::store
