// sluice-renderer as it is run: a process of its own, reading from a real broker,
// writing to files, FIFOs, pipes and a pseudo-terminal.
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/mini_session.h"
#include "tests/support/vt100.h"
#include "wire/events.h"
#include "wire/live.h"
#include "wire/record_publisher.h"

using namespace sluice;
using namespace sluice::wire;
using namespace std::chrono_literals;
using sluice::testing::MiniSession;
using sluice::testing::run_until;
using sluice::testing::Vt100;

namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

std::string packed(const nlohmann::json& event) {
  const auto bytes = nlohmann::json::to_msgpack(event);
  return {bytes.begin(), bytes.end()};
}

nlohmann::json message(const std::string& text) {
  return {{"v", 1}, {"type", "message"}, {"time", 0}, {"level", "info"}, {"text", text}};
}

nlohmann::json session_ended() { return {{"v", 1}, {"type", "session.ended"}, {"time", 0}}; }

nlohmann::json run_finished(std::uint32_t number) {
  return {{"v", 1},
          {"type", "run.finished"},
          {"time", 0},
          {"run", {{"number", number}, {"verb", "build"}, {"elapsed", 0}}},
          {"outcome", "success"}};
}

std::string status_event(std::int64_t elapsed, const std::string& element) {
  Event event;
  const std::string session = pack_section(
      "session", SessionSection{"id", "golden", "build", 0, elapsed * kSecondNs, "active"});
  const std::string queues = pack_section("queues", std::vector<QueueSection>{});
  ActiveSection active;
  active.jobs.push_back({element, "01234567", "build", 1, kSecondNs, "runner-1"});
  active.total = 1;
  const std::string jobs = pack_section("active", active);
  return pack_event({.type = "status", .time = 0}, {session, jobs});
}

// The scheduler's part: records and live events.
struct Publisher {
  explicit Publisher(MiniSession& session) : session(session) {
    auto made = RecordPublisher::create(
        context, reactor,
        {session.endpoint("records"), session.hello("records/1", "scheduler", "scheduler")});
    REQUIRE(made.has_value());
    records = std::move(*made);
    auto status = LivePublisher::create(context, reactor, session.endpoint("live-in"));
    REQUIRE(status.has_value());
    live = std::move(*status);
  }

  void publish(const nlohmann::json& event) {
    records->publish(event.at("type").get<std::string>(), packed(event));
  }
  void acknowledged() {
    records->flush();
    REQUIRE(run_until(reactor, [&] { return records->acknowledged() == records->last(); }));
  }
  void say_status(std::int64_t elapsed, const std::string& element) {
    live->publish("status/", [&] { return status_event(elapsed, element); });
  }

  MiniSession& session;
  Context context;
  Reactor reactor;
  std::unique_ptr<RecordPublisher> records;
  std::unique_ptr<LivePublisher> live;
};

// A renderer, killed when the test is over.
struct Running {
  Process process;
  explicit Running(Process started) : process(std::move(started)) {}
  Running(Running&& other) noexcept : process(std::exchange(other.process, {})) {}
  ~Running() {
    if (process.pid <= 0) return;
    (void)send_signal(process, SIGKILL);
    (void)wait_for(process);
  }
  // The status, or 255 where the renderer didn't end in time.
  int exit(Duration limit = 20s) {
    pollfd item{process.pidfd.get(), POLLIN, 0};
    if (::poll(&item, 1, static_cast<int>(limit / 1ms)) != 1) return 255;
    const ExitStatus status = wait_for(process);
    process = {};
    return status.code;
  }
  bool runs() const {
    pollfd item{process.pidfd.get(), POLLIN, 0};
    return ::poll(&item, 1, 0) == 0;
  }
  std::size_t memory_kb() const {
    std::ifstream file(fmt::format("/proc/{}/status", process.pid));
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
    }
    return 0;
  }
};

Running start(MiniSession& session, std::vector<std::string> arguments, int output = -1,
              std::vector<std::pair<int, int>> keep = {}) {
  SpawnOptions options;
  options.argv = {find_program("sluice-renderer"), "--session", session.paths().id};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  ::setenv("TERM", "xterm-256color", 1);
  options.standard_output = output;
  options.standard_error = output;
  options.keep_fds = std::move(keep);
  options.die_with_parent = true;
  auto process = spawn(options);
  REQUIRE(process.has_value());
  return Running(std::move(*process));
}

// A pseudo-terminal with what a person sees on it.
struct Terminal {
  Terminal(unsigned columns, unsigned rows) : screen(columns, rows) {
    master.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(master);
    REQUIRE(::grantpt(master.get()) == 0);
    REQUIRE(::unlockpt(master.get()) == 0);
    char name[128];
    REQUIRE(::ptsname_r(master.get(), name, sizeof name) == 0);
    slave.reset(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(slave);
    set_size(columns, rows);
  }
  void set_size(unsigned columns, unsigned rows) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    REQUIRE(::ioctl(master.get(), TIOCSWINSZ, &size) == 0);
  }
  // Whether there was something to read.
  bool read() {
    char buffer[65536];
    const ssize_t got = ::read(master.get(), buffer, sizeof buffer);
    if (got <= 0) return false;
    bytes += static_cast<std::size_t>(got);
    screen.feed({buffer, static_cast<std::size_t>(got)});
    REQUIRE(screen.error() == "");
    return true;
  }
  bool wait_for_text(Reactor& reactor, const std::string& text, Duration limit = 20s) {
    return run_until(
        reactor,
        [&] {
          while (read()) {
          }
          return screen.text().find(text) != std::string::npos;
        },
        limit);
  }

  UniqueFd master, slave;
  Vt100 screen;
  std::size_t bytes = 0;
};

std::string contents(const std::string& path) { return read_file(path).value_or(""); }

// Events of the golden files.
std::vector<nlohmann::json> golden_events(const std::string& name) {
  std::ifstream file(SLUICE_SOURCE_DIR "/tests/golden/renderer/" + name);
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(file, line);) events.push_back(nlohmann::json::parse(line));
  REQUIRE(!events.empty());
  return events;
}

}  // namespace

TEST_CASE("each style shows a session to its end") {
  ::setenv("TZ", "UTC", 1);
  MiniSession session;
  session.start_broker();
  Publisher publisher(session);
  const std::string plain = session.directory() + "/plain", json = session.directory() + "/json",
                    fifo = session.directory() + "/fifo";
  REQUIRE(write_file_atomic(json, "what was there\n"));
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  Running lines = start(session, {"--style", "plain", "--output", plain});
  Running log = start(session, {"--json-log", json});
  Running piped = start(session, {"--json-log", fifo});
  UniqueFd reader(::open(fifo.c_str(), O_RDONLY | O_CLOEXEC));
  Terminal terminal(100, 200);
  Running tty = start(session, {"--style", "tty", "--no-colors"}, terminal.slave.get());

  const auto events = golden_events("2-null.events.jsonl");
  for (std::size_t i = 0; i + 1 < events.size(); ++i) publisher.publish(events[i]);
  publisher.acknowledged();
  // The renderer writes before the session ends.
  CHECK(run_until(publisher.reactor,
                  [&] { return contents(plain).find("Pipeline Summary") != std::string::npos; }));
  CHECK(run_until(publisher.reactor,
                  [&] { return contents(json).find("run.finished") != std::string::npos; }));
  CHECK(terminal.wait_for_text(publisher.reactor, "Build Queue: processed 0, skipped"));
  CHECK(lines.runs());
  publisher.publish(events.back());
  publisher.acknowledged();
  CHECK(lines.exit() == 0);
  CHECK(log.exit() == 0);
  CHECK(tty.exit() == 0);

  std::string from_fifo;
  for (char buffer[65536];;) {
    const ssize_t got = ::read(reader.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    from_fifo.append(buffer, static_cast<std::size_t>(got));
  }
  CHECK(piped.exit() == 0);
  const std::string logged = contents(json);
  CHECK(from_fifo == logged);
  std::size_t count = 0;
  std::istringstream stream(logged);
  for (std::string line; std::getline(stream, line); ++count) {
    const auto record = nlohmann::json::parse(line);
    CHECK(record.at("cursor") == count + 1);
    CHECK(record.at("type") == events.at(count).at("type"));
    CHECK(record.at("src") == "scheduler");
  }
  CHECK(count == events.size());
  while (terminal.read()) {
  }
  std::string on_screen;
  for (const auto& line : terminal.screen.lines()) on_screen += line + "\n";
  std::string in_file;
  std::istringstream file(contents(plain));
  for (std::string line; std::getline(file, line);)
    in_file += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  CHECK(on_screen == in_file);
}

TEST_CASE("many at once, some before the broker is there") {
  MiniSession session;
  std::vector<Running> running;
  std::vector<std::string> files;
  const auto start_some = [&] {
    for (int i = 0; i < 6; ++i) {
      files.push_back(fmt::format("{}/out{}", session.directory(), files.size()));
      running.push_back(
          start(session, {"--style", i % 2 == 0 ? "plain" : "json", "--output", files.back()}));
    }
  };
  start_some();
  session.start_broker();
  start_some();
  Publisher publisher(session);
  publisher.publish(message("one"));
  publisher.acknowledged();
  start_some();
  for (const auto& file : files) {
    INFO(file);
    CHECK(run_until(
        publisher.reactor, [&] { return contents(file).find("one") != std::string::npos; }, 5s));
  }
  publisher.publish(session_ended());
  publisher.acknowledged();
  for (auto& one : running) CHECK(one.exit() == 0);
}

TEST_CASE("it ends with a run, and another goes on from there") {
  MiniSession session;
  session.start_broker();
  Publisher publisher(session);
  const std::string file = session.directory() + "/out";
  int cursor[2];
  REQUIRE(::pipe2(cursor, O_CLOEXEC) == 0);
  UniqueFd read_end(cursor[0]), write_end(cursor[1]);
  Running first =
      start(session, {"--style", "plain", "--output", file, "--until-run", "2", "--cursor-fd", "3"},
            -1, {{write_end.get(), 3}});
  write_end.reset();
  publisher.publish(message("one"));
  publisher.publish(run_finished(1));
  publisher.publish(message("two"));
  publisher.publish(run_finished(2));
  publisher.publish(message("three"));
  publisher.acknowledged();
  CHECK(first.exit() == 0);
  const auto next = read_all(read_end.get());
  REQUIRE(next.has_value());
  CHECK(*next == "5 end\n");
  CHECK(contents(file).find("two") != std::string::npos);
  CHECK(contents(file).find("three") == std::string::npos);
  Running second =
      start(session, {"--style", "plain", "--output", file, "--append", "--from", "5"});
  publisher.publish(session_ended());
  publisher.acknowledged();
  CHECK(second.exit() == 0);
  const std::string all = contents(file);
  for (const char* text : {"one", "two", "three"}) {
    CHECK(all.find(text) != std::string::npos);
    CHECK(all.find(text) == all.rfind(text));
  }
}

TEST_CASE("who comes late sees the whole picture within a second") {
  MiniSession session;
  session.start_broker();
  Publisher publisher(session);
  for (int i = 0; i < 3000; ++i) publisher.publish(message(fmt::format("old {}", i)));
  publisher.acknowledged();
  std::int64_t elapsed = 100;
  // The scheduler's promise: at least once a second.
  publisher.reactor.every(1s, [&] { publisher.say_status(++elapsed, "late.bst"); });
  Terminal terminal(100, 24);
  const Duration began = system_clock().monotonic();
  Running tty = start(session, {"--style", "tty"}, terminal.slave.get());
  CHECK(terminal.wait_for_text(publisher.reactor, "[build:late.bst]"));
  const Duration took = system_clock().monotonic() - began;
  CHECK(terminal.screen.text().find("old 2999") != std::string::npos);
  CHECK(terminal.screen.text().find(" golden ") != std::string::npos);
  // A second for the status, and something for a machine that is busy with other tests.
  CHECK(took < 3s);
  UNSCOPED_INFO("took " << took / 1ms << " ms");
  SECTION("SIGTERM takes the status away and keeps the lines") {
    REQUIRE(send_signal(tty.process, SIGTERM));
    CHECK(tty.exit() == 0);
    while (terminal.read()) {
    }
    CHECK(terminal.screen.text().find("late.bst") == std::string::npos);
    CHECK(terminal.screen.text().find("old 2999") != std::string::npos);
    CHECK(terminal.screen.cursor_column() == 0);
  }
  SECTION("it follows the terminal's size") {
    REQUIRE(terminal.wait_for_text(publisher.reactor, "===="));
    terminal.screen.resize(40, 10);
    terminal.set_size(40, 10);
    REQUIRE(send_signal(tty.process, SIGWINCH));  // it is not this terminal's foreground process
    REQUIRE(run_until(publisher.reactor, [&] {
      while (terminal.read()) {
      }
      for (const auto& row : terminal.screen.screen()) {
        if (row.starts_with("====") && row.find("golden") != std::string::npos && row.size() <= 39)
          return true;
      }
      return false;
    }));
    CHECK(terminal.screen.text().find("late.bst") == terminal.screen.text().rfind("late.bst"));
  }
  SECTION("SIGINT is the command line's business") {
    REQUIRE(send_signal(tty.process, SIGINT));
    publisher.publish(message("after the interrupt"));
    CHECK(terminal.wait_for_text(publisher.reactor, "after the interrupt"));
  }
  SECTION("Ctrl-Z: it leaves the screen and stops; continued, it comes back") {
    REQUIRE(send_signal(tty.process, SIGTSTP));
    // WNOWAIT: its stop must stay for nobody, but its end belongs to exit().
    REQUIRE(run_until(publisher.reactor, [&] {
      siginfo_t info{};
      return ::waitid(P_PID, static_cast<id_t>(tty.process.pid), &info,
                      WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
             info.si_pid != 0;
    }));
    while (terminal.read()) {
    }
    CHECK(terminal.screen.text().find("late.bst") == std::string::npos);
    REQUIRE(send_signal(tty.process, SIGCONT));
    CHECK(terminal.wait_for_text(publisher.reactor, "late.bst"));
  }
}

TEST_CASE("a terminal that takes nothing stops the renderer, and nobody else") {
  MiniSession session;
  session.start_broker();
  Publisher publisher(session);
  Terminal terminal(100, 24);
  Running tty = start(session, {"--style", "tty", "--no-colors"}, terminal.slave.get());
  publisher.say_status(1, "first.bst");
  publisher.publish(message("first"));
  REQUIRE(terminal.wait_for_text(publisher.reactor, "first"));

  // From here nobody reads the terminal. More is published than the renderer's buffers could hold.
  const std::string filler(2000, 'x');
  constexpr int kRecords = 30'000;  // 60 MB
  for (int i = 0; i < kRecords; ++i) {
    publisher.publish(message(fmt::format("{} {}", i, filler)));
    if (i % 100 == 0) {
      publisher.say_status(i, "newest.bst");
      publisher.reactor.run_once(Duration::zero());
    }
    if (publisher.records->full()) publisher.acknowledged();
  }
  publisher.acknowledged();
  const std::size_t memory = tty.memory_kb();
  INFO(memory << " KB");
  CHECK(memory > 0);
#ifndef __SANITIZE_ADDRESS__  // whose freed memory isn't free
  CHECK(memory < 24'000);
#endif
  CHECK(tty.runs());
  // A second reader of the broker is not held up.
  const std::string file = session.directory() + "/plain";
  Running other =
      start(session, {"--style", "plain", "--output", file, "--from", std::to_string(kRecords)});
  CHECK(run_until(publisher.reactor, [&] {
    return contents(file).find(fmt::format(" {} x", kRecords - 1)) != std::string::npos;
  }));

  SECTION("when it is read again nothing is missing") {
    publisher.publish(session_ended());
    publisher.acknowledged();
    std::string all;
    REQUIRE(run_until(
        publisher.reactor,
        [&] {
          char buffer[65536];
          for (ssize_t got; (got = ::read(terminal.master.get(), buffer, sizeof buffer)) > 0;)
            all.append(buffer, static_cast<std::size_t>(got));
          return !tty.runs();
        },
        100s));
    CHECK(tty.exit() == 0);
    std::size_t at = 0;
    for (int i = 0; i < kRecords; ++i) {
      at = all.find(fmt::format(" INFO    {} x", i), at);
      REQUIRE(at != std::string::npos);
    }
  }
  SECTION("SIGTERM ends it all the same") {
    REQUIRE(send_signal(tty.process, SIGTERM));
    CHECK(tty.exit(10s) == 0);
  }
}

TEST_CASE("one that is stopped or killed is missed by nobody") {
  MiniSession session;
  session.start_broker();
  Publisher publisher(session);
  Terminal terminal(100, 24);
  Running tty = start(session, {"--style", "tty"}, terminal.slave.get());
  publisher.publish(message("first"));
  publisher.say_status(1, "first.bst");
  REQUIRE(terminal.wait_for_text(publisher.reactor, "first"));
  REQUIRE(send_signal(tty.process, SIGSTOP));
  for (int i = 0; i < 20'000; ++i) {
    publisher.publish(message(fmt::format("message {}", i)));
    publisher.say_status(i, "other.bst");
    if (i % 100 == 0) publisher.reactor.run_once(Duration::zero());
  }
  publisher.acknowledged();
  REQUIRE(send_signal(tty.process, SIGKILL));
  CHECK(tty.exit() == 128 + SIGKILL);
  // The renderer that was killed left the cursor on a line of its own.
  while (terminal.read()) {
  }
  CHECK(terminal.screen.cursor_column() == 0);
}

TEST_CASE("the broker's death is bridged, the session's is told") {
  MiniSession session;
  session.start_broker();
  Publisher publisher(session);
  const std::string file = session.directory() + "/out";
  Running plain = start(session, {"--style", "plain", "--output", file});
  publisher.publish(message("before"));
  publisher.acknowledged();
  CHECK(run_until(publisher.reactor,
                  [&] { return contents(file).find("before") != std::string::npos; }));
  session.kill_broker();
  session.start_broker();
  publisher.publish(message("after"));
  publisher.acknowledged();
  CHECK(run_until(publisher.reactor,
                  [&] { return contents(file).find("after") != std::string::npos; }));
  const std::string all = contents(file);
  CHECK(all.find("before") == all.rfind("before"));
  session.kill_broker();
  CHECK(plain.exit(40s) == 3);
}

TEST_CASE("what can't be done is said") {
  MiniSession session;
  const auto fails = [&](std::vector<std::string> arguments, const std::string& text, int status) {
    const std::string file = session.directory() + "/stderr";
    UniqueFd output(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    SpawnOptions options;
    options.argv = {find_program("sluice-renderer")};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.standard_error = output.get();
    auto process = spawn(options);
    REQUIRE(process.has_value());
    CHECK(wait_for(*process).code == status);
    const std::string said = contents(file);
    INFO(said);
    CHECK(said.find(text) != std::string::npos);
  };
  const std::string id = session.paths().id;
  fails({}, "--session ID is missing", 2);
  fails({"--session"}, "--session takes a value", 2);
  fails({"--session", id, "--nonsense", "1"}, "--nonsense: there is no such option", 2);
  fails({"--session", id, "--nonsense"}, "--nonsense: there is no such option", 2);
  fails({"--session", id, "--style", "fancy"}, "'fancy'", 2);
  fails({"--session", id, "--from", "0"}, "--from: '0' is not a number", 2);
  fails({"--session", id, "--width=many"}, "--width: 'many'", 2);
  fails({"--session", id, "--key-length", "65"}, "64", 2);
  fails({"--session", id, "extra"}, "'extra'", 2);
  fails({"--session", "../up"}, "not the id of a session", 2);
  fails({"--session", id, "--style", "plain", "--message-format", "%{speed}"}, "'speed'", 2);
  fails({"--session", id, "--style", "tty"}, "not a terminal", 2);
  fails({"--session", id, "--json-log", "/nowhere/at/all"}, "/nowhere/at/all", 1);
  fails({"--session", "20200101-000000-0000", "--style", "plain"},
        "no session '20200101-000000-0000'", 3);

  session.start_broker();
  Publisher publisher(session);
  publisher.publish(message("one"));
  publisher.acknowledged();
  // A pipe that nobody reads, and a disk that is full.
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd write_end(ends[1]);
  ::close(ends[0]);
  Running piped = start(session, {"--style", "plain"}, write_end.get());
  CHECK(piped.exit() == 1);
  Running full = start(session, {"--style", "plain", "--output", "/dev/full"});
  CHECK(full.exit() == 1);
}
