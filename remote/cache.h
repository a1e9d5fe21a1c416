// What sluice-cas serves: a store, the names in it, and its quota. No gRPC.
//
// The directory is a cache directory like any other (store/README.md): artifacts are its artifacts, sources its
// sources, so that `sluice` and `bst` can use it as their own, and what they have made can be served.
// Names are BuildStream's (requests.h); there are no others here.
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

namespace sluice::remote {

using store::Digest;

// Thread-safe.
class Cache {
 public:
  // `quota` in bytes; 0: none.
  static Result<std::unique_ptr<Cache>> open(const std::string& directory, std::uint64_t quota);

  store::Cas& cas() { return cas_; }

  // Room for that many bytes, which are to come: what was used least recently goes for it, until half of the quota is
  // free, so that it isn't looked for with each blob. "full" when it can't be had. cancel() when they didn't come.
  Status reserve(std::int64_t bytes);
  void cancel(std::int64_t bytes);
  // Nothing when all that it names is not there any more.
  Result<std::optional<Digest>> find_blob(std::string_view uri);
  Result<std::optional<Digest>> find_directory(std::string_view uri);
  // "missing-blob" when not all that it names is there; "bad-artifact", "bad-source" when it is no such message.
  Status put_blob(std::string_view uri, const Digest& digest);
  Status put_directory(std::string_view uri, const Digest& root);

 private:
  Cache(store::Cas cas, std::uint64_t quota);
  Result<std::optional<Digest>> named(Result<std::optional<std::string>> message);
  void stored();

  store::Cas cas_;
  const std::uint64_t quota_;
  std::mutex lock_;  // of all below
  store::Completeness complete_;
  store::Artifacts artifacts_;
  store::SourceRefs sources_;
  store::SyncLimiter sync_;
  std::uint64_t used_ = 0;
};

}  // namespace sluice::remote
