#include "remote/cache.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/try.h"
#include "remote/requests.h"
#include "store/quota.h"

namespace sluice::remote {

namespace {

constexpr std::int64_t kMessageLimit = std::int64_t{64} << 20;
constexpr std::uint64_t kLookAfter = std::uint64_t{4} << 20;

tl::unexpected<Error> bad_name(std::string_view uri) {
  return fail("server", "bad-name",
              fmt::format("'{}' is not the name of an artifact or of sources of BuildStream",
                          uri.substr(0, 500)));
}

// What stands behind the prefix, if the name has it.
std::optional<std::string_view> behind(std::string_view uri, std::string_view prefix) {
  if (!uri.starts_with(prefix)) return std::nullopt;
  return uri.substr(prefix.size());
}

// A name that can't be one isn't there either; it is the client's mistake all the same.
template <typename T>
Result<T> or_bad_name(Result<T> result, std::string_view uri) {
  if (!result && (result.error().reason == "bad-key" ||
                  (result.error().reason == "bad-artifact" &&
                   result.error().message.find("name of") != std::string::npos))) {
    return bad_name(uri);
  }
  return result;
}

}  // namespace

Cache::Cache(store::Cas cas, store::Space space, std::uint64_t quota)
    : cas_(std::move(cas)), space_(std::move(space)), quota_(quota), complete_(cas_),
      artifacts_(cas_, &complete_), sources_(cas_, &complete_) {}

Result<std::unique_ptr<Cache>> Cache::open(const std::string& directory, std::uint64_t quota) {
  store::CasOptions options;
  options.verify_on_read = true;
  auto cas = TRY(store::Cas::open(directory, options));
  // Removes what a server that was killed had not finished.
  CHECK(cas.sweep_temporary());
  // The empty blob, which everybody may refer to without ever sending it.
  CHECK(cas.add(""));
  auto space = TRY(store::Space::open(directory));
  std::unique_ptr<Cache> cache(new Cache(std::move(cas), std::move(space), quota));
  if (quota > 0) {
    auto usage = TRY(store::used(directory));
    cache->used_ = usage.total();
    CHECK(cache->make_room(store::empty_digest()));
  }
  return cache;
}

Status Cache::fits(std::int64_t bytes) const {
  if (bytes <= 0) return {};
  const auto wanted = static_cast<std::uint64_t>(bytes);
  if (quota_ != 0 && wanted > quota_)
    return fail("server", "full",
                fmt::format("{} bytes are more than the quota of {}", bytes, quota_));
  const auto most = TRY(space_.allowed(space_.used().value_or(0)));
  if (!most || wanted <= *most) return {};
  return fail("server", "full",
              fmt::format("{} bytes are more than the {} that the store may use", bytes, *most));
}

// What lies here unfinished takes room on the disk and is no part of what the store uses.
Status Cache::disk_has_room() {
  const store::CacheLimits limits = space_.limits();
  if (limits.quota != 0 && incoming_ > limits.quota)
    return fail("server", "full",
                fmt::format("{} bytes of blobs that are not whole yet are on their way already",
                            incoming_));
  const std::uint64_t used = space_.used().value_or(0);
  const auto most = TRY(space_.allowed(used));
  if (!most || used < *most) return {};
  if (store::expire_for(cas_.cachedir(), 1)) {
    space_.remove(1);
    return {};
  }
  return fail("server", "full", "The disk has no more left than is to stay free there");
}

Status Cache::receiving(std::uint64_t bytes) {
  const std::lock_guard guard(lock_);
  since_look_ += bytes;
  if (since_look_ >= kLookAfter) {
    CHECK(disk_has_room());
    since_look_ = 0;
  }
  if (quota_ != 0 && bytes > quota_ - std::min(quota_, incoming_)) {
    return fail("server", "full",
                fmt::format("{} bytes of blobs that are not whole yet are on their way already",
                            incoming_));
  }
  incoming_ += bytes;
  return {};
}

void Cache::received(std::uint64_t bytes) {
  const std::lock_guard guard(lock_);
  incoming_ -= std::min(incoming_, bytes);
}

// `digest` is in the store already.
Status Cache::make_room(const Digest& digest) {
  if (used_ > quota_) {
    store::ExpireOptions options;
    options.pinned = {digest};
    auto expired = TRY(store::expire_to(
        cas_, std::min(quota_, quota_ / 2 + static_cast<std::uint64_t>(digest.size)), options));
    complete_.invalidate();
    used_ = expired.left;
  }
  if (used_ <= quota_) return {};
  return fail("server", "full",
              fmt::format("There is no room for {} bytes: {} of {} are in use", digest.size,
                          used_ - static_cast<std::uint64_t>(digest.size), quota_));
}

std::vector<Digest> Cache::missing(const std::vector<Digest>& digests) {
  std::vector<Digest> absent;
  for (const Digest& digest : digests) {
    if (!cas_.touch(digest)) absent.push_back(digest);
  }
  if (backing_ == nullptr || absent.empty()) return absent;
  // When nobody can say it, they are sent again.
  auto there = backing_->missing(absent);
  return there ? std::move(*there) : absent;
}

void Cache::ensure(const std::vector<Digest>& digests) {
  if (backing_ == nullptr) return;
  std::vector<Digest> absent;
  for (const Digest& digest : digests) {
    if (!cas_.touch(digest)) absent.push_back(digest);
  }
  // What doesn't come is missing to whoever reads it.
  if (!absent.empty()) (void)backing_->fetch(absent);
}

Status Cache::kept(const Digest& digest) {
  if (quota_ == 0) return {};
  const std::lock_guard guard(lock_);
  used_ += static_cast<std::uint64_t>(digest.size);
  auto room = make_room(digest);
  if (room) return room;
  CHECK(cas_.remove(digest));
  used_ -= std::min(used_, static_cast<std::uint64_t>(digest.size));
  return room;
}

// The message itself is a blob too, for those who fetch it by its digest.
Result<std::optional<Digest>> Cache::named(Result<std::optional<std::string>> message) {
  const auto bytes = TRY(std::move(message));
  if (!bytes) return std::nullopt;
  return std::optional<Digest>(TRY(cas_.add(*bytes)));
}

Result<std::optional<Digest>> Cache::find_blob(std::string_view uri) {
  const std::lock_guard guard(lock_);
  if (const auto ref = behind(uri, kArtifactUrn)) {
    auto info = TRY(or_bad_name(artifacts_.lookup_ref(*ref), uri));
    if (!info) return std::nullopt;
    return named(artifacts_.message(*ref));
  }
  if (const auto key = behind(uri, kSourceUrn)) {
    auto root = TRY(or_bad_name(sources_.lookup_element(*key), uri));
    if (!root) return std::nullopt;
    return named(sources_.element_message(*key));
  }
  return bad_name(uri);
}

Result<std::optional<Digest>> Cache::find_directory(std::string_view uri) {
  const auto name = behind(uri, kSourceUrn);
  const std::size_t slash = name ? name->find('/') : std::string_view::npos;
  if (slash == std::string_view::npos) return bad_name(uri);
  const std::lock_guard guard(lock_);
  return or_bad_name(sources_.lookup_source(name->substr(0, slash), name->substr(slash + 1)), uri);
}

Status Cache::put_blob(std::string_view uri, const Digest& digest) {
  if (digest.size > kMessageLimit)
    return fail("server", "bad-name", fmt::format("{} bytes are no artifact", digest.size));
  auto bytes = TRY(cas_.read(digest));
  const std::lock_guard guard(lock_);
  Status put;
  if (const auto ref = behind(uri, kArtifactUrn)) {
    put = or_bad_name(artifacts_.adopt(*ref, bytes, false), uri);
  } else if (const auto key = behind(uri, kSourceUrn)) {
    put = or_bad_name(sources_.adopt_element(*key, bytes), uri);
  } else {
    return bad_name(uri);
  }
  if (put) stored();
  return put;
}

Status Cache::put_directory(std::string_view uri, const Digest& root) {
  const auto name = behind(uri, kSourceUrn);
  const std::size_t slash = name ? name->find('/') : std::string_view::npos;
  if (slash == std::string_view::npos) return bad_name(uri);
  const std::lock_guard guard(lock_);
  if (!complete_.tree(root))
    return fail("cas", "missing-blob", fmt::format("The tree {} is not wholly here", root.hash));
  auto put = or_bad_name(
      sources_.store_source(name->substr(0, slash), name->substr(slash + 1), root), uri);
  if (put) stored();
  return put;
}

// What a client was told to be kept survives a loss of power too, within limits.
void Cache::stored() {
  if (!sync_.allow(system_clock().monotonic().count())) return;
  [[maybe_unused]] auto synced = store::sync(cas_.cachedir());
}

}  // namespace sluice::remote
