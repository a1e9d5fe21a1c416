// A shell command for each record, which it has as JSON on its standard input. Status 75 asks for
// another try; any other that isn't 0 is said, and the record is done with.
#include <set>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "renderer/collect/commands.h"
#include "renderer/collect/destination.h"
#include "wire/record_json.h"

namespace sluice::collect {

namespace {

class Exec final : public Destination {
 public:
  Exec(std::string command, std::size_t at_once, Duration timeout)
      : command_(std::move(command)), at_once_(at_once), timeout_(timeout) {}

  std::optional<Message> encode(const Record& record) override {
    Message message;
    message.body = wire::json_line(record.packed).value_or("");
    message.stream = record.event.type;
    return message;
  }

  Status deliver(const std::vector<Message>& batch) override {
    std::vector<std::pair<const Message*, RunningCommand>> running;
    Status status;
    const Duration deadline = system_clock().monotonic() + timeout_;
    for (const Message& message : batch) {
      if (done_.contains(name_of(message))) continue;
      auto started = RunningCommand::start(
          {"/bin/sh", "-c", command_},
          {"SLUICE_SESSION=" + message.session, "SLUICE_TYPE=" + message.stream,
           "SLUICE_CURSOR=" + std::to_string(message.cursor)},
          message.body);
      if (!started) {
        // There may be too many processes now; those that have begun are waited for.
        status = fail("collect", "unavailable",
                      fmt::format("'{}' can't be run: {}", command_, started.error().message));
        break;
      }
      running.emplace_back(&message, std::move(*started));
    }
    for (auto& [message, command] : running) {
      bool again = false;
      const std::string what = command.wait(deadline, timeout_, again);
      if (!what.empty()) {
        const std::string said =
            fmt::format("record {} of session {} ({}): '{}' {}", message->cursor, message->session,
                        message->stream, command_, what);
        if (again) {
          status = fail("collect", "unavailable", said);
          continue;
        }
        (void)write_all(2, fmt::format("sluice-collect: {}\n", said));
      }
      done_.insert(name_of(*message));
    }
    if (status) done_.clear();
    return status;
  }

  std::size_t most_messages() const override { return at_once_; }

 private:
  using Name = std::pair<std::string, std::uint64_t>;
  static Name name_of(const Message& message) { return {message.session, message.cursor}; }

  const std::string command_;
  const std::size_t at_once_;
  const Duration timeout_;
  std::set<Name> done_;  // of a batch that is to be tried again
};

}  // namespace

Result<std::unique_ptr<Destination>> make_exec(const std::string& address,
                                               const renderer::Arguments& arguments) {
  const std::uint64_t at_once = TRY(arguments.number("--jobs", 1, 1, 256));
  const std::uint64_t timeout = TRY(arguments.number("--timeout", 60, 1, 86400));
  return std::make_unique<Exec>(address, at_once, std::chrono::seconds(timeout));
}

}  // namespace sluice::collect
