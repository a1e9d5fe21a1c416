// Space is how full the cache is, known without looking.
//
//   CACHEDIR/sluice/usage   0600, one page, which every process that writes into the store has
//                           mapped: the bytes in use, the limits of the session that began last
//
// Each process adds what it is about to write and takes off what it removes. A process that is
// killed in between leaves the count too high; BuildStream, which doesn't count here, leaves it
// wrong either way. So it is counted anew by looking at everything before anything expires, and
// aside during a run when the count is of another boot or a day old. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace sluice::store {

// The limits in `cache` of the user configuration, in bytes.
struct CacheLimits {
  std::uint64_t quota = 0;     // 0: none
  std::uint64_t reserved = 0;  // bytes of the disk that stay free; 0: none
  // What is left after expiry, in ten-thousandths of the quota.
  std::uint32_t low_watermark = 8000;
};

class Space {
 public:
  // Makes the file when it is absent; its directory must be there.
  static Result<Space> open(const std::string& cachedir);
  Space(Space&& other) noexcept;
  Space& operator=(Space&&) = delete;
  ~Space();

  CacheLimits limits() const;
  void set_limits(const CacheLimits& limits);

  // The bytes in use; std::nullopt: not counted yet.
  std::optional<std::uint64_t> used() const;
  // Whether the count is of another boot, or a day old.
  bool outdated() const;
  // Adds without looking at limits.
  void add(std::uint64_t bytes);
  void remove(std::uint64_t bytes);
  // Takes the count that was found by looking at everything; `before` is what used() gave when that
  // began: what came since counts too.
  void set_counted(std::uint64_t bytes, std::optional<std::uint64_t> before);

  // Adds `bytes`; false when that is more than the limits allow, or nobody knows: then nothing was
  // added. How much the disk has is looked at after each few megabytes.
  bool take(std::uint64_t bytes);

  // Adds `bytes`; where there is no room, what was used least recently goes (quota.h):
  // "cas"/"cache-too-full".
  Status make_room(std::uint64_t bytes);

  // The bytes that the store may use in all, when it uses `used` now, with the disk as it is now;
  // std::nullopt: no limit.
  Result<std::optional<std::uint64_t>> allowed(std::uint64_t used) const;

  // A number that goes up with every expiry that removed something: what was known to be whole may
  // not be any more.
  std::uint64_t expiries() const;
  void note_expiry();

  // The bytes that an expiry of no use had to leave, remembered for a few seconds: it needn't be
  // tried again at once.
  void note_floor(std::uint64_t bytes);
  std::optional<std::uint64_t> recent_floor() const;

 private:
  struct Page;
  Space(Page* page, std::string cachedir) : page_(page), cachedir_(std::move(cachedir)) {}

  Page* page_;
  std::string cachedir_;
};

// Sets the limits of the store in `cachedir`, which is made when absent, for all that any process
// writes from now on.
Status limit_store(const std::string& cachedir, const CacheLimits& limits);

}  // namespace sluice::store
