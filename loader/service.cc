#include "loader/service.h"

#include <poll.h>

#include "base/log.h"
#include "base/try.h"
#include "loader/kept_request.h"
#include "loader/ref_writer.h"
#include "loader/snapshot_request.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/hello.h"
#include "wire/record_publisher.h"

namespace sluice::loader {

namespace {

constexpr Duration kLastWords = std::chrono::seconds(1);

class Service {
 public:
  explicit Service(const wire::ServiceOptions& options)
      : options_(options), line_(options.supervisor_fd) {}

  Status run() {
    wire::Hello hello{std::string(wire::kRecordsProtocol),
                      SLUICE_VERSION,
                      "loader",
                      options_.instance,
                      options_.epoch,
                      false};
    publisher_ = TRY(wire::RecordPublisher::create(context_, reactor_,
                                                   {options_.paths.endpoint("records"), hello}));
    hello.protocol = wire::kControlProtocol;
    control_ = TRY(wire::ControlService::create(
        context_, reactor_, options_.paths.endpoint("control"), hello,
        [this](const wire::Request& request, wire::ControlService::Respond respond) {
          handle(request, std::move(respond));
        }));
    reactor_.on_fd(line_.fd(), POLLIN, [this](short) { supervisor(); });
    publisher_->on_acknowledged([this](std::uint64_t) { leave_when_said(); });
    CHECK(line_.send("ready"));
    reactor_.run();
    (void)line_.send("ended");
    control_.reset();
    publisher_.reset();
    return {};
  }

 private:
  void handle(const wire::Request& request, wire::ControlService::Respond respond) {
    wire::Reply reply{request.id, "done", {}, {}, request.source};
    const auto refuse = [&](wire::ErrorBody why) {
      reply.status = "refused";
      reply.error = std::move(why);
      respond(std::move(reply));
    };
    if (request.role == "observe" && request.command != "load") {
      return refuse({"app", "not-allowed",
                     "'" + request.command + "' may not be asked for by an observer", "", "", 0,
                     0});
    }
    if (request.command == "write-refs") return write(request, std::move(reply), respond);
    if (request.command != "load" && request.command != "reload") {
      return refuse({"app", "unknown-command",
                     "the loader has no command '" + request.command + "'", "", "", 0, 0});
    }
    auto arguments = request.command == "load"
                         ? wire::decode<wire::LoadArguments>(request.arguments.bytes)
                         : request_again(request);
    if (!arguments) return refuse(wire::ErrorBody::from(arguments.error()));
    const Duration began = clock_.monotonic();
    if (!arguments->wanted.quiet) say("start", "Loading elements", "", Duration::zero());
    // The start is seen while the loading goes on, also when that takes long.
    publisher_->flush();
    wire::LoadResult result = make_snapshot(*arguments);
    // Whoever is told of a snapshot can ask for it again (L11).
    if (!result.error && !result.snapshot_file.empty()) {
      if (auto kept = keep_request(*arguments, result.id); !kept) {
        result = {};
        result.error = wire::ErrorBody::from(kept.error());
      }
    }
    const Duration took = clock_.monotonic() - began;
    for (const auto& warning :
         arguments->wanted.quiet ? std::vector<std::string>() : result.warnings)
      say("warn", warning, "", Duration::zero());
    if (result.error) {
      if (!arguments->wanted.quiet) say("failure", "Loading elements", "", took);
      report(*result.error);
    } else if (!arguments->wanted.quiet) {
      say("success", "Loading elements",
          wire::subtasks_processed(result.elements, false, took.count()), took);
    }
    reply.result.bytes = wire::encode(result);
    publisher_->flush();
    respond(std::move(reply));
  }

  static Result<wire::LoadArguments> request_again(const wire::Request& request) {
    return loader::request_again(TRY(wire::decode<wire::ReloadArguments>(request.arguments.bytes)));
  }

  void write(const wire::Request& request, wire::Reply reply,
             const wire::ControlService::Respond& respond) {
    auto arguments = wire::decode<wire::WriteRefs>(request.arguments.bytes);
    if (arguments) {
      reply.result.bytes = wire::encode(write_refs(arguments->edits));
    } else {
      reply.status = "refused";
      reply.error = wire::ErrorBody::from(arguments.error());
    }
    respond(std::move(reply));
  }

  void say(std::string_view level, std::string_view text, std::string_view detail,
           Duration elapsed) {
    const wire::EventHead head{"message", clock_.wall_ns(), level, text, detail,
                               "",        elapsed.count()};
    publisher_->publish(head.type, wire::pack_event(head, {session()}));
  }

  void report(const wire::ErrorBody& error) {
    // The introduction stands before the error's own message, as with bst.
    const wire::EventHead head{
        "error", clock_.wall_ns(), "error", error.introduction, error.detail, "", 0};
    const wire::ErrorSection section{"main",     error.domain, error.reason, error.message,
                                     error.file, error.line,   error.column, error.subject};
    publisher_->publish(head.type,
                        wire::pack_event(head, {session(), wire::pack_section("error", section)}));
  }

  std::string session() const {
    wire::SessionSection section;
    section.id = options_.paths.id;
    section.state = "active";
    return wire::pack_section("session", section);
  }

  void supervisor() {
    bool closed = false;
    for (const auto& command : line_.receive(closed)) {
      if (command != "end") continue;
      ending_ = true;
      publisher_->flush();
      reactor_.after(kLastWords, [this] { reactor_.stop(); });
    }
    if (closed) reactor_.stop();
    leave_when_said();
  }

  void leave_when_said() {
    if (ending_ && publisher_->acknowledged() == publisher_->last()) reactor_.stop();
  }

  wire::ServiceOptions options_;
  const Clock& clock_ = system_clock();
  wire::SupervisorLine line_;
  wire::Context context_;
  wire::Reactor reactor_;
  std::unique_ptr<wire::RecordPublisher> publisher_;
  std::unique_ptr<wire::ControlService> control_;
  bool ending_ = false;
};

}  // namespace

Status serve(const wire::ServiceOptions& options) { return Service(options).run(); }

}  // namespace sluice::loader
