// A directory that takes the place of one of the user's, whole or not at all.
#pragma once

#include <string>

#include "base/result.h"

namespace sluice::cli {

// A replacement of the directory at a path. What is new is made beside the place, in a hidden
// directory of the same filesystem, and swapped with what is there in one step (renameat2,
// RENAME_EXCHANGE). Until finish() everything can be, and by the destructor is, put back as it was.
//
// An empty directory is filled where it is, so that it stays the same one for whoever is in it.
class Replacement {
 public:
  // `path` is absent, or a directory. The directories above it are made.
  static Result<Replacement> of(const std::string& path);
  Replacement(Replacement&& other) noexcept;
  Replacement& operator=(Replacement&&) = delete;
  ~Replacement();

  // The directory to put what is new into; it is empty.
  const std::string& staged() const { return staged_; }
  Status swap();
  // Removes what was there. An error names where the rest of it is; the place has what is new all
  // the same.
  Status finish();

 private:
  enum class Place { kAbsent, kEmpty, kFull };
  Replacement(std::string path, Place place) : path_(std::move(path)), place_(place) {}
  Status exchange();
  void put_back();

  std::string path_;
  std::string staged_;
  Place place_;
  bool swapped_ = false;
  bool done_ = false;
};

// Whether there is a directory with something in it.
bool has_entries(const std::string& directory);

}  // namespace sluice::cli
