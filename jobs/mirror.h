// Files from elsewhere, kept below the user's source directory under their SHA-256, where BuildStream
// keeps them too (store/downloads.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "model/model.h"
#include "sandbox/sandbox.h"

namespace sluice::jobs {

// "tar source at FILE [line 4 column 2]: ", as BuildStream has it, or nothing where a source has no place.
std::string where(const model::Source& source);
tl::unexpected<Error> source_error(const model::Source& source, std::string reason, std::string message, std::string detail = {});

// Refers to all it is given. Errors: domain "source"; "job"/"killed".
class Mirror {
 public:
  Mirror(const model::Settings& settings, Reporter& reporter, Cancel& cancel) : settings_(settings), reporter_(reporter), cancel_(cancel) {}

  // The path of the file whose SHA-256 is the source's ref, downloaded when it isn't there.
  Result<std::string> ensure(const model::Source& source);
  // Downloads it as it is now; its SHA-256.
  Result<std::string> track(const model::Source& source);

 private:
  Result<std::string> download_with_retries(const model::Source& source, const std::vector<std::string>& urls, std::string_view activity);
  Result<std::string> download_from_anywhere(const model::Source& source, const std::vector<std::string>& urls, std::string_view activity);
  Result<std::string> download(const model::Source& source, std::string_view activity);

  const model::Settings& settings_;
  Reporter& reporter_;
  Cancel& cancel_;
};

}  // namespace sluice::jobs
