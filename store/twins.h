// Twins are Sluice's own files for roots on disk, one per blob, mode and number, under
// CACHEDIR/sluice/files. They are linked, never copied out of roots, and derived: any of them may
// be removed when nothing links it. Internal to store/.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "store/cas.h"
#include "store/space.h"
#include "store/verified.h"

namespace sluice::store {

// Thread-safe.
class Twins {
 public:
  enum class Mode { k644, k755, k444, k555 };

  static Result<Twins> open(Cas& cas);

  // Makes `name` in `directory` a link to the twin `number` of the blob, which is made
  // when it is absent or damaged (is_good() says no). Where the filesystem allows no
  // more links, `name` becomes a file of its own.
  Status link(const Digest& blob, Mode mode, unsigned number, int directory,
              const std::string& name);

  // Whether the file `name` in `directory` is a twin of the blob as it was made: by its size, mode
  // and time, and, the first time that this process or those forked from it look at it, by its
  // content.
  bool is_good(const Digest& blob, Mode mode, int directory, const std::string& name);

  // The twins and roots that this process, or those forked from it, have seen to be good.
  Verified& verified() { return *verified_; }

 private:
  Twins(Cas& cas, UniqueFd files, Space space)
      : cas_(&cas), files_(std::move(files)), space_(std::move(space)),
        verified_(std::make_unique<Verified>()) {}
  // Writes the twin's content into a new temporary file, whose path is returned.
  Result<std::string> make(const Digest& blob, mode_t mode);

  Cas* cas_;
  UniqueFd files_;
  Space space_;
  std::unique_ptr<Verified> verified_;
};

}  // namespace sluice::store
