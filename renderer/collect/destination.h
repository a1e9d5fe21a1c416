// A destination: where records go. A new kind is a file with one of these, and a row in kinds.cc.
//
// encode() is called in the collector's thread, with each record in its order; deliver() in a
// thread of its own, with what came of them, in order, a batch at a time, and again until it was
// taken. So each record gets there at least once: its session and cursor are in what is delivered,
// so that who gets one twice can tell.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "renderer/arguments.h"
#include "wire/events.h"

namespace sluice::collect {

struct Record {
  std::string_view packed;
  const wire::Event& event;
};

// What is to be delivered.
struct Message {
  std::string session;        // id
  std::uint64_t cursor = 0;   // of its record
  std::uint64_t through = 0;  // no record up to this one has anything else to be delivered
  std::string body;           // "": nothing
  std::string stream;         // of kinds that part them: which one it belongs to
  std::int64_t time = 0;      // wall clock, ns
};

class Destination {
 public:
  virtual ~Destination() = default;
  // Body, stream and what else of a message the destination wants: the rest is filled in. Nothing:
  // the record has no place there.
  virtual std::optional<Message> encode(const Record& record) = 0;
  // No more records of this session come.
  virtual void forget(const std::string& /*session*/) {}
  // Returns when the other side has all of them, as far as its protocol lets that be known. Error
  // "unavailable": it is tried again, later; "bad-records": each of them is tried by itself, and
  // left out when it is refused again; any other is the collector's end.
  virtual Status deliver(const std::vector<Message>& batch) = 0;

  // Of a batch.
  virtual std::size_t most_messages() const { return 1000; }
  virtual std::size_t most_bytes() const { return std::size_t{1} << 20; }
};

struct Kind {
  std::string_view name;
  bool address_needed = false;
  bool address_taken = false;
  // Records before those that are to be delivered are encoded all the same: what it says of one
  // follows from those before.
  bool needs_past = false;
  bool from_now = false;  // unless --from says otherwise
  // Those of kOfKinds that it takes.
  std::array<std::string_view, 2> options{};
  Result<std::unique_ptr<Destination>> (*make)(const std::string& address,
                                               const renderer::Arguments& arguments);
};
// The options that some kinds take, and others don't.
inline constexpr std::array<std::string_view, 4> kOfKinds = {"--headers", "--jobs", "--timeout",
                                                             "--after"};
// nullptr: there is none of that name.
const Kind* find_kind(std::string_view name);
std::string kind_names();

Result<std::unique_ptr<Destination>> make_journald(const std::string& address,
                                                   const renderer::Arguments& arguments);
Result<std::unique_ptr<Destination>> make_syslog(const std::string& address,
                                                 const renderer::Arguments& arguments);
Result<std::unique_ptr<Destination>> make_ndjson(const std::string& address,
                                                 const renderer::Arguments& arguments);
Result<std::unique_ptr<Destination>> make_loki(const std::string& address,
                                               const renderer::Arguments& arguments);
Result<std::unique_ptr<Destination>> make_otlp(const std::string& address,
                                               const renderer::Arguments& arguments);
Result<std::unique_ptr<Destination>> make_exec(const std::string& address,
                                               const renderer::Arguments& arguments);
Result<std::unique_ptr<Destination>> make_notify(const std::string& address,
                                                 const renderer::Arguments& arguments);

// What several kinds say of a record.
// syslog's severities: 2 critical, 3 error, 4 warning, 6 informational, 7 debug.
int severity_of(std::string_view level);
// A line for people: "[build:hello.bst] Running commands"; of a record without a text its type.
std::string line_of(const wire::Event& event);
// Names and values of a record's fields, those that aren't empty: session, cursor, type, level,
// project, run, element, key, action, job, attempt, runner, host, outcome, origin, log_file, ...
std::vector<std::pair<std::string_view, std::string>> fields_of(const wire::Event& event);

}  // namespace sluice::collect
