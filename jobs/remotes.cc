#include "jobs/remotes.h"

#include "base/file.h"
#include "base/try.h"
#include "jobs/retry.h"
#include "jobs/source_surroundings.h"
#include "sandbox/scratch.h"
#include "wire/helper.h"

namespace sluice::jobs {

namespace {

Level level_of(const std::string& name) {
  if (name == "warn") return Level::kWarn;
  return name == "status" ? Level::kStatus : Level::kInfo;
}

Result<wire::RemoteReply> ask_once(const std::string& file, Reporter& reporter, Cancel& cancel) {
  auto output = TRY(wire::run_helper({find_program("sluice-remote"), file}, cancel.stop()));
  auto reply = TRY(wire::decode<wire::RemoteReply>(output));
  for (const wire::RemoteNote& note : reply.notes)
    reporter.message(level_of(note.level), note.text);
  return reply;
}

}  // namespace

wire::RemoteRequest remote_request(const JobData& data, std::string verb) {
  wire::RemoteRequest request;
  request.verb = std::move(verb);
  request.cachedir = data.settings.cachedir;
  request.remotes = data.job.remotes;
  request.project = data.element.project;
  request.element = data.element.name;
  return request;
}

Result<wire::RemoteReply> ask_remotes(const JobData& data, const wire::RemoteRequest& request,
                                      Reporter& reporter, Cancel& cancel) {
  auto directory = TRY(Scratch(data.scratch).directory("remote"));
  const std::string file = directory + "/request";
  wire::RemoteRequest packed = request;
  CHECK(write_file_atomic(file, wire::encode(packed), 0600));
  reporter.flush();
  for (unsigned attempt = 1;; ++attempt) {
    auto reply = ask_once(file, reporter, cancel);
    if (reply) return reply;
    const Error& error = reply.error();
    const bool temporary = error.domain == "remote" &&
                           (error.reason == "unreachable" || error.reason == "remote-failed");
    if (!temporary || attempt > data.settings.network_retries) return reply;
    CHECK(wait_for_retry(attempt, error, reporter, cancel));
  }
}

}  // namespace sluice::jobs
