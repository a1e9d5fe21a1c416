// sluice-trace: a session as a trace, from its record log. See usage().
#include <cstdio>
#include <memory>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/try.h"
#include "renderer/arguments.h"
#include "renderer/collect/http_post.h"
#include "renderer/trace/chrome.h"
#include "renderer/trace/otlp.h"
#include "wire/follow.h"

namespace sluice::trace {

namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2;
// What one request has at most; collectors take 4 MiB by default.
constexpr std::size_t kRequestBytes = std::size_t{1} << 20;

constexpr std::string_view kHelp =
    R"(Usage: sluice-trace --session ID [OPTION]...

Makes a trace of a session's records: of all that there are now.

  --session ID       the session
  --format FORMAT    chrome: Trace Event JSON, for Perfetto (default)
                     otlp: a request of OTLP in JSON
  --output FILE      where to write (default: standard output)
  --otlp URL         send it to a collector of OpenTelemetry instead, by OTLP/HTTP in JSON
  --headers FILE     headers of these requests, one on each line
  --help, --version
)";

class Sender {
 public:
  static Result<Sender> create(const renderer::Arguments& arguments) {
    collect::HttpPost::Settings settings;
    settings.url = otlp_endpoint(arguments.text("--otlp"));
    if (arguments.has("--headers"))
      settings.headers = TRY(collect::read_headers(arguments.text("--headers")));
    return Sender(TRY(collect::HttpPost::create(std::move(settings))));
  }
  Status add(std::string spans) {
    if (!pending_.empty() && bytes_ + spans.size() > kRequestBytes) CHECK(flush());
    bytes_ += spans.size();
    pending_.push_back(std::move(spans));
    return {};
  }
  Status flush() {
    if (pending_.empty()) return {};
    const std::string answer = TRY(post_->post(otlp_request({pending_.begin(), pending_.end()})));
    pending_.clear();
    bytes_ = 0;
    if (const std::string complaint = otlp_complaint(answer); !complaint.empty())
      return fail("trace", "rejected", complaint);
    return {};
  }

 private:
  explicit Sender(std::unique_ptr<collect::HttpPost> post) : post_(std::move(post)) {}
  std::unique_ptr<collect::HttpPost> post_;
  std::vector<std::string> pending_;
  std::size_t bytes_ = 0;
};

Result<Course> read_course(const std::string& session) {
  const wire::SessionPaths paths = TRY(wire::SessionPaths::of(session));
  Course course;
  Spans spans({[&](const JobSpan& span) { course.jobs.push_back(span); },
               [&](const RunSpan& span) { course.runs.push_back(span); },
               [&](const SessionSpan& span) { course.session = span; }});
  std::size_t left_out = 0;
  std::string first;
  CHECK(wire::read_until_now(paths, "trace", [&](std::string_view packed) {
    const auto event = wire::decode_event(packed);
    if (event) {
      spans.take(*event);
    } else if (left_out++ == 0) {
      first = event.error().str();
    }
    return true;
  }));
  spans.finish();
  if (left_out > 0) {
    (void)write_all(
        STDERR_FILENO,
        fmt::format("sluice-trace: {} record{} left out, since {} can't be read: {}\n", left_out,
                    left_out == 1 ? " is" : "s are", left_out == 1 ? "it" : "they", first));
  }
  return course;
}

Status send(const Course& course, const renderer::Arguments& arguments) {
  Sender sender = TRY(Sender::create(arguments));
  const wire::SessionSection& session = course.session.session;
  if (course.session.ended) CHECK(sender.add(otlp_session(course.session)));
  for (const RunSpan& run : course.runs) {
    if (!run.outcome.empty()) CHECK(sender.add(otlp_run(session, run)));
  }
  for (const JobSpan& job : course.jobs) {
    if (!job.outcome.empty()) CHECK(sender.add(otlp_job(session, job)));
  }
  return sender.flush();
}

Status write_otlp(const Course& course, int to) {
  const wire::SessionSection& session = course.session.session;
  std::vector<std::string> spans = {otlp_session(course.session)};
  for (const RunSpan& run : course.runs) spans.push_back(otlp_run(session, run));
  for (const JobSpan& job : course.jobs) spans.push_back(otlp_job(session, job));
  return write_all(to, otlp_request({spans.begin(), spans.end()}) + "\n");
}

Status make(const renderer::Arguments& arguments) {
  const std::string format = arguments.text("--format", "chrome");
  if (format != "chrome" && format != "otlp")
    return fail("app", "usage", fmt::format("--format: '{}' is none of chrome, otlp", format));
  CHECK(arguments.no_words());
  if (!arguments.has("--session")) return fail("app", "usage", "--session ID is missing");
  for (const char* other : {"--format", "--output"}) {
    if (arguments.has("--otlp") && arguments.has(other))
      return fail("app", "usage", fmt::format("{}: nothing is written with --otlp", other));
  }
  if (arguments.has("--headers") && !arguments.has("--otlp"))
    return fail("app", "usage", "--headers: they are for --otlp");
  const Course course = TRY(read_course(arguments.text("--session")));
  if (arguments.has("--otlp")) return send(course, arguments);
  UniqueFd file;
  const std::string output = arguments.text("--output", "-");
  if (output != "-") {
    file.reset(::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file) return fail_errno(errno, output);
  }
  const int to = file ? file.get() : STDOUT_FILENO;
  if (format == "otlp") return write_otlp(course, to);
  return write_chrome(course, [&](std::string_view text) { return write_all(to, text); });
}

}  // namespace

int run(const std::vector<std::string>& given) {
  const auto arguments = renderer::Arguments::read(
      given, {"--session", "--format", "--output", "--otlp", "--headers"}, {"--help", "--version"});
  if (arguments && arguments->has("--help")) {
    (void)write_all(STDOUT_FILENO, kHelp);
    return kDone;
  }
  if (arguments && arguments->has("--version")) {
    (void)write_all(STDOUT_FILENO, "sluice-trace " SLUICE_VERSION "\n");
    return kDone;
  }
  const Status made = arguments ? make(*arguments) : tl::unexpected<Error>(arguments.error());
  if (made) return kDone;
  (void)write_all(STDERR_FILENO, fmt::format("sluice-trace: {}\n", made.error().str()));
  return made.error().reason == "usage" ? kUsage : kFailed;
}

}  // namespace sluice::trace

int main(int argc, char** argv) { return sluice::trace::run({argv + 1, argv + argc}); }
