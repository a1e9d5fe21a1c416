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

#include "base/result.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "store/complete.h"
#include "store/sources.h"
#include "store/sync.h"

namespace sluice::remote {

using store::Digest;

// Thread-safe.
class Cache {
 public:
  // `quota` in bytes; 0: none.
  static Result<std::unique_ptr<Cache>> open(const std::string& directory, std::uint64_t quota);

  store::Cas& cas() { return cas_; }

  // A blob that has come, and is in the store: what was used least recently goes for it, until half
  // of the quota would be free without it, so that room isn't looked for with each blob. "full"
  // when that isn't enough; then it is removed again.
  Status kept(const Digest& digest);
  // "full" when there can't be room for a blob of that size, whatever goes.
  Status fits(std::int64_t bytes) const;
  // Of blobs that aren't whole yet as much as the quota may lie here, in all: "full" when it would
  // be more. received() when they are whole, or given up.
  Status receiving(std::uint64_t bytes);
  void received(std::uint64_t bytes);
  // Nothing when all that it names is not there any more.
  Result<std::optional<Digest>> find_blob(std::string_view uri);
  Result<std::optional<Digest>> find_directory(std::string_view uri);
  // "missing-blob" when not all that it names is there; "bad-artifact", "bad-source" when it is no
  // such message.
  Status put_blob(std::string_view uri, const Digest& digest);
  Status put_directory(std::string_view uri, const Digest& root);

 private:
  Cache(store::Cas cas, std::uint64_t quota);
  Result<std::optional<Digest>> named(Result<std::optional<std::string>> message);
  void stored();
  Status make_room(const Digest& digest);

  store::Cas cas_;
  const std::uint64_t quota_;
  std::mutex lock_;  // of all below
  store::Completeness complete_;
  store::Artifacts artifacts_;
  store::SourceRefs sources_;
  store::SyncLimiter sync_;
  std::uint64_t used_ = 0;
  std::uint64_t incoming_ = 0;
};

}  // namespace sluice::remote
