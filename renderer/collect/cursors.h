// The cursor file: up to which record of each session everything was delivered. Text, a line each:
//
//   sluice-collect 1
//   since ID             the newest session that was seen: later ones are new
//   ID CURSOR [end]      the next record of that session; `end`: there is no more
//
// It is replaced as a whole. Sessions that aren't kept any more are left out of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace sluice::collect {

class Cursors {
 public:
  // "" for none: nothing is kept. Errors: the file can't be read, or has something else in it, with
  // its line; "collect"/"in-use": another collector has it.
  static Result<Cursors> open(const std::string& file);

  // The next record that is to be delivered; 0: all were, nothing: nothing is known of the session.
  std::optional<std::uint64_t> next(const std::string& session) const;
  const std::string& since() const { return since_; }
  std::vector<std::string> unfinished() const;

  // Notes that this session is followed, from there unless something is known of it.
  void begin(const std::string& session, std::uint64_t next);
  void set(const std::string& session, std::uint64_t next);
  void set_end(const std::string& session);
  void set_since(const std::string& session);
  // Writes what has changed.
  Status save();

 private:
  struct Place {
    std::uint64_t next = 1;
    bool end = false;
  };
  Status read(const std::string& text);
  std::string file_;
  UniqueFd lock_;
  std::string since_;
  std::map<std::string, Place> places_;
  bool changed_ = false;
};

}  // namespace sluice::collect
