// Blobs by SHA-256: the store of the Remote Execution API, in the layout that
// BuildBox's casd 1.x and BuildStream 2.8 use, so that both work on one cache.
//
//   CACHEDIR/cas/objects/ab/cdef...   mode 0444, mtime 2011-11-11 11:11:11 UTC,
//                                     access time = when it was last used
//   CACHEDIR/sluice/tmp/PID-N/        temporary files of one process, which holds
//                                     a lock on the directory while it lives
//
// A blob is written to a temporary file, given its mode and time, and renamed to
// its place: a reader, and a process that is killed at any instant, leave either
// nothing or the whole object. Writers of the same blob don't disturb each other.
// Nothing is fsync'ed here; see sync.h.
//
// Errors: domain "cas", reasons "missing-blob" (also for an object whose size or
// content is wrong: corrupt counts as missing), "corrupt-blob" (from verify()),
// "bad-digest"; what the system says has domain "util".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "model/model.h"

namespace sluice::store {

using model::Digest;

// The time that BuildStream and BuildBox give to all files (2011-11-11 11:11:11 UTC).
inline constexpr std::int64_t kFixedMtime = 1321009871;

// 64 lower-case hexadecimal digits and a size that isn't negative. Everything
// that takes a Digest from outside checks this before it makes a path of it.
bool valid_digest(const Digest& digest);
// The digest of `data`, without storing it.
Digest digest_of(std::string_view data);
// The same of an open file, from its offset to its end.
Result<Digest> digest_of_fd(int fd);
// The digest of no bytes, which is an empty directory's, too.
const Digest& empty_digest();

struct CasOptions {
  // Objects are hashed when they are opened, too, and removed when they don't agree, so that they
  // are fetched or built again. Without it their size alone is checked then. What is read or copied
  // is always hashed.
  bool verify_on_read = false;
  // Access times stay as they are, where the system allows it: for expiry and checkers, whose
  // looking is no use.
  bool keep_access_times = false;
};

// Thread-safe: all methods but the constructors may be called from any thread.
class Cas {
 public:
  // Makes the directories that are absent. `cachedir` is absolute.
  static Result<Cas> open(const std::string& cachedir, CasOptions options = {});
  Cas(Cas&&) noexcept;
  Cas& operator=(Cas&&) noexcept;
  ~Cas();

  const std::string& cachedir() const;

  // Adds a blob. One that is there already only has its access time renewed: nobody's expiry takes
  // it before this process ends.
  Result<Digest> add(std::string_view data);
  // Adds the content of a regular file, read to its end. It is never hard-linked, since the store's
  // inodes belong to the store alone, but reflinked where the filesystem can.
  Result<Digest> add_file(const std::string& path);
  Result<Digest> add_fd(int fd);
  // Adds the file `path` (relative to the open `directory`, or absolute) that is open as `fd`,
  // which the caller needs no more: its inode becomes the object where it can (own, on the store's
  // filesystem, of one link, without extended attributes), and its content isn't copied. Nobody may
  // have it open for writing.
  Result<Digest> take(int directory, const std::string& path, int fd);

  // A blob that comes in parts and whose digest is known before: nothing of it is in the store
  // until all of it was seen to be what the digest says. One thread each.
  class Incoming {
   public:
    Incoming(Incoming&&) noexcept;
    Incoming& operator=(Incoming&&) noexcept;
    // Removes what was not finished.
    ~Incoming();
    // "corrupt-blob" as soon as there is more than the digest says.
    Status append(std::string_view part);
    std::int64_t received() const;
    // "corrupt-blob" when it isn't that blob; the store is as it was then.
    Status finish();

   private:
    friend class Cas;
    struct Open;
    explicit Incoming(std::unique_ptr<Open> open);
    std::unique_ptr<Open> open_;
  };
  // Refers to this store, which must outlive it.
  Result<Incoming> receive(const Digest& digest);

  bool contains(const Digest& digest) const;
  // Reads or opens an object. An error when it is absent, or isn't what the digest says: then it is
  // removed.
  Result<std::string> read(const Digest& digest) const;
  Result<UniqueFd> open_blob(const Digest& digest) const;
  // Copies an object to the empty file `to` (opened for reading too), and hashes what it copies: a
  // damaged object is removed from the store and "missing-blob". The copy is a reflink where the
  // filesystem can.
  Status copy_to(const Digest& digest, int to) const;
  // Where the object is or would be. The digest must be valid.
  std::string object_path(const Digest& digest) const;

  // Whether the store contains the object, whose access time is then at most an hour old. One or
  // two system calls.
  bool touch(const Digest& digest) const;
  // Hashes the object; "corrupt-blob" or "missing-blob".
  Status verify(const Digest& digest) const;
  Status remove(const Digest& digest);

  // A path for a temporary file or directory of this process, on the store's filesystem, which is
  // removed when the process has ended. Nothing is made at it. A child that was forked
  // may go on using its parent's Cas, and must end by _exit().
  std::string temporary_name();
  // Removes what dead processes left in sluice/tmp; gives the number of their directories.
  Result<unsigned> sweep_temporary();

 private:
  struct State;
  explicit Cas(std::unique_ptr<State> state);
  // Takes an object that is open as `fd`, and isn't what the digest says, out of the store.
  tl::unexpected<Error> discard(const Digest& digest, int fd) const;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::store
