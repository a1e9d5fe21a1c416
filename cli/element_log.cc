// `log`: the logs of elements, of jobs that run and that have been. What no job has is looked for
// among the artifacts, by the program that has these.
#include <algorithm>
#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/job_log.h"
#include "cli/log_plan.h"
#include "cli/place.h"

namespace sluice::cli {

namespace {

// A log may be larger than the memory.
constexpr std::size_t kPiece = std::size_t{1} << 20;

Status print_file(const std::string& path, LogOutput& output) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, path);
  std::string piece(kPiece, '\0');
  for (;;) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, path);
    if (n == 0) return output.flush();
    CHECK(output.write(std::string_view(piece).substr(0, static_cast<std::size_t>(n))));
  }
}

// Logs that are followed, all in one loop.
class Followed {
 public:
  Followed(Invocation& invocation, const ElementLogCommand& command, const LogPlan& plan)
      : invocation_(invocation), command_(command), plan_(plan) {}

  Status begin(const LogPlan::Element& element) {
    One& one =
        *ones_.emplace_back(std::make_unique<One>(LogOutput(log_prefix(command_, element.name))));
    ++open_;
    const std::string what =
        command_.follow || !element.job ? element.name : std::to_string(element.job->id);
    one.log = TRY(JobLog::create(
        context_, reactor_, invocation_.report, *plan_.session, {what, 0, command_.follow},
        {[&one](std::string_view text) { return one.output.write(text); },
         [this, &one](std::optional<Error> error) { ended(one, std::move(error)); }}));
    return {};
  }

  // Until all have ended. Gives whether all logs were shown.
  bool run() {
    if (open_ > 0) reactor_.run();
    return fine_;
  }

 private:
  struct One {
    explicit One(LogOutput out) : output(std::move(out)) {}
    LogOutput output;
    std::unique_ptr<JobLog> log;
  };

  void ended(One& one, std::optional<Error> error) {
    if (auto flushed = one.output.flush(); !flushed && !error) error = flushed.error();
    // Who waited for a job that never came has been told all there is.
    if (error) {
      fine_ = false;
      (void)failed(invocation_, *error);
    }
    if (--open_ == 0) reactor_.stop();
  }

  Invocation& invocation_;
  const ElementLogCommand& command_;
  const LogPlan& plan_;
  wire::Context context_;
  wire::Reactor reactor_;
  std::vector<std::unique_ptr<One>> ones_;
  std::size_t open_ = 0;
  bool fine_ = true;
};

// Of elements without a log, where there is no project whose artifacts could have one.
int without_logs(Invocation& invocation, const LogPlan& plan) {
  const std::string& session = plan.session->paths.id;
  for (const LogPlan::Element& element : plan.elements) {
    if (element.job || element.follows) continue;
    const std::string why =
        element.gone.empty()
            ? fmt::format("Session {} has started no job of '{}' that has a log", session,
                          element.name)
            : fmt::format("Session {} had a job of {}, whose log isn't there any more: {}", session,
                          element.name, element.gone);
    (void)failed(invocation, {"session", "no-log", why, {}, {}});
  }
  return kFailure;
}

}  // namespace

int run_element_log(Invocation& invocation, const ElementLogCommand& command) {
  const auto plan = plan_logs(invocation, command);
  if (!plan) return failed(invocation, plan.error());
  bool fine = true;
  for (const LogPlan::Element& element : plan->elements) {
    if (element.follows || !element.job) continue;
    LogOutput output(log_prefix(command, element.name));
    if (auto printed = print_file(element.job->log_file, output); !printed)
      fine = failed(invocation, printed.error()) == kSuccess;
  }
  {
    Followed followed(invocation, command, *plan);
    for (const LogPlan::Element& element : plan->elements) {
      if (!element.follows) continue;
      if (auto begun = followed.begin(element); !begun) return failed(invocation, begun.error());
    }
    fine = followed.run() && fine;
  }
  const std::vector<std::string> left = plan->without_job();
  if (left.empty()) return fine ? kSuccess : kFailure;
  // An artifact's name needs no project.
  const bool elements = std::all_of(left.begin(), left.end(),
                                    [](const std::string& name) { return name.ends_with(".bst"); });
  if (elements && !command.id.empty() && plan->session &&
      find_project(load_arguments(invocation.global).what.directory).empty())
    return without_logs(invocation, *plan);
  // It finds out the same, and shows what is left.
  ::execv(find_program("sluice-artifact").c_str(), invocation.argv);
  const tl::unexpected<Error> error = fail_errno(errno, "cannot run sluice-artifact");
  return failed(invocation, error.value());
}

}  // namespace sluice::cli
