#include "jobs/storage.h"

#include <utility>

#include "base/try.h"
#include "jobs/remotes.h"

namespace sluice::jobs {

namespace {

Status keep(const JobData& data, const char* verb, const std::string& key, Reporter& reporter,
            Cancel& cancel) {
  if (!data.settings.storage_service || key.empty()) return {};
  auto request = remote_request(data, verb);
  request.remotes = {*data.settings.storage_service};
  request.remotes.front().type = "storage";
  request.keys = {key};
  auto reply = ask_remotes(data, request, reporter, cancel);
  if (reply) return {};
  if (reply.error().domain == "remote") reply.error().domain = "artifact";
  return forward(reply);
}

}  // namespace

Status keep_artifact(const JobData& data, const std::string& key, Reporter& reporter,
                     Cancel& cancel) {
  return keep(data, "keep-artifact", key, reporter, cancel);
}

Status keep_sources(const JobData& data, Reporter& reporter, Cancel& cancel) {
  return keep(data, "keep-sources", data.element.sources_key, reporter, cancel);
}

}  // namespace sluice::jobs
