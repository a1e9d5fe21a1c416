// Answers to load requests, kept from one load to the next.
//
// An answer is found by what was asked: the request, this build, the machine (uname and the
// processors that may be used, which are max-jobs) and the user's folders. It is given again
// when everything that was looked at to make it (lookups.h) is as it was: files and
// directories by their stamps, where those can be trusted, else by their content; what was
// absent is still absent. One answer is kept for each question.
//
// Answers that are errors are not kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/elements/element.h"
#include "loader/yaml.h"
#include "project/kept_file.h"
#include "project/lookups.h"

namespace sluice::loader {

class SnapshotCache {
 public:
  SnapshotCache();

  // The name of a question. `request` holds all that the caller was asked.
  static std::string question(std::string_view request);

  struct Answer {
    std::string head;
    std::string body;
  };
  // The answer to a question, if it still holds. `digest_local` is asked about each local source,
  // also to enter it into the store; `digest_workspace` about each workspace.
  std::optional<Answer> find(const std::string& question, const DigestLocal& digest_local,
                             const DigestLocal& digest_workspace);
  // Keeps an answer. `began_ns` is when looking at `lookups` began, in wall-clock time.
  void keep(const std::string& question, const Lookups& lookups, std::int64_t began_ns,
            std::string_view head, std::string_view body);

 private:
  KeptFiles files_;
};

}  // namespace sluice::loader
