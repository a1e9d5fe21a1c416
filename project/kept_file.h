// Files of the loader's caches below $XDG_CACHE_HOME/sluice: written by anybody at any time,
// so a reader takes nothing for granted. A file is its name's content or it is as if it
// weren't there: written beside and renamed, with a checksum over all of it, and with the
// build that wrote it, since another may mean something else by the same bytes.
//
//   "SLKEPT1\n" | SHA-256 of what follows, 64 digits | build, text | the rest is the caller's
//
// Numbers are little-endian; a text is its length as u32 and its bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::project {

// Takes the bytes of a file apart, and says at the end whether all of it was there: a piece that
// isn't is 0 or empty.
class KeptReader {
 public:
  explicit KeptReader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number(int bytes);
  std::string_view text();
  std::string_view bytes(std::size_t count);
  std::string_view rest() const { return rest_; }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

void kept_number(std::string& out, std::uint64_t value, int bytes);
void kept_text(std::string& out, std::string_view text);

// The identity of this program's build, by which it is told from any other build.
const std::string& build_identity();

class KeptFiles {
 public:
  // `folder` is below the user's cache directory and is made when something is written. When all
  // files together have more than `most_bytes`, those that weren't used for longest go.
  KeptFiles(std::string folder, std::uint64_t most_bytes);

  // The caller's part of the file of that name; nullopt when there is no sound one.
  std::optional<std::string> read(const std::string& name) const;
  // Writes the caller's part, which is `first` and `second` in a row. A file that can't be written
  // is no error: then there is none.
  void write(const std::string& name, std::string_view first, std::string_view second = {}) const;

 private:
  void make_room(std::uint64_t bytes) const;

  std::string folder_;
  std::uint64_t most_bytes_;
};

}  // namespace sluice::project
