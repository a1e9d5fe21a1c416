// What sluice-cas serves: a store, the names in it, and its quota. No gRPC.
//
// The directory is a cache directory like any other (store/README.md): artifacts are its artifacts,
// sources its sources, so that `sluice` and `bst` can use it as their own, and what they have made
// can be served. Names are BuildStream's (requests.h); there are no others here.
//
// Errors: those of the store, and domain "server": "bad-name", "full".
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "store/complete.h"
#include "store/sources.h"
#include "store/space.h"
#include "store/sync.h"

namespace sluice::remote {

using store::Digest;

// A store that is served. Thread-safe.
class Cache {
 public:
  // `quota` in bytes; 0: none.
  static Result<std::unique_ptr<Cache>> open(const std::string& directory, std::uint64_t quota);

  store::Cas& cas() { return cas_; }

  // Another place that has blobs, of which this one is the front. Thread-safe.
  class Backing {
   public:
    virtual ~Backing() = default;
    // Brings what is there into the store; what isn't is no error.
    virtual Status fetch(const std::vector<Digest>& digests) = 0;
    virtual Result<std::vector<Digest>> missing(const std::vector<Digest>& digests) = 0;
  };
  // Before anybody is served. Not owned.
  void back_by(Backing* backing) { backing_ = backing; }
  // Brings those that aren't here, as far as they are behind it.
  void ensure(const std::vector<Digest>& digests);
  // Those that are neither here nor behind it. The others count as used: whoever asks for a blob is
  // going to rely on it.
  std::vector<Digest> missing(const std::vector<Digest>& digests);

  // Counts a blob that has come, and is in the store. What was used least recently goes for it,
  // until half of the quota would be free without it, so that room isn't looked for with each blob.
  // "full" when that isn't enough; then the blob is removed again.
  Status kept(const Digest& digest);
  // An error, "full", when there can't be room for a blob of that size, whatever goes: by the
  // quota, and by the limits of whose store it is (store/space.h).
  Status fits(std::int64_t bytes) const;
  // Counts bytes of a blob that isn't whole yet, of which as much as the quota may lie here in all:
  // "full" when it would be more, or when the disk would have less left than the store's limits say
  // although what was used least recently went. received() takes them off, when the blob is whole
  // or given up.
  Status receiving(std::uint64_t bytes);
  void received(std::uint64_t bytes);
  // What a name stands for; nothing when not all that it names is there any more.
  Result<std::optional<Digest>> find_blob(std::string_view uri);
  Result<std::optional<Digest>> find_directory(std::string_view uri);
  // Make a name. Errors: "missing-blob" when not all that it names is there, "bad-artifact" and
  // "bad-source" when the blob is no such message.
  Status put_blob(std::string_view uri, const Digest& digest);
  Status put_directory(std::string_view uri, const Digest& root);

 private:
  Cache(store::Cas cas, store::Space space, std::uint64_t quota);
  Status disk_has_room();
  Result<std::optional<Digest>> named(Result<std::optional<std::string>> message);
  void stored();
  Status make_room(const Digest& digest);

  store::Cas cas_;
  store::Space space_;
  Backing* backing_ = nullptr;
  const std::uint64_t quota_;
  std::mutex lock_;  // of all below
  store::Completeness complete_;
  store::Artifacts artifacts_;
  store::SourceRefs sources_;
  store::SyncLimiter sync_;
  std::uint64_t used_ = 0;
  std::uint64_t incoming_ = 0;
  std::uint64_t since_look_ = 0;  // bytes that have come since the disk was looked at
};

}  // namespace sluice::remote
