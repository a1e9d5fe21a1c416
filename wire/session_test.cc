#include "wire/session.h"

#include <cstdlib>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/support/skipped.h"
#include "tests/support/test_directory.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

struct Home {
  TestDirectory directory;
  const std::string path = directory.str();
  Home() {
    ::setenv("XDG_RUNTIME_DIR", path.c_str(), 1);
    ::setenv("XDG_STATE_HOME", (path + "/state").c_str(), 1);
  }
  ~Home() {
    ::unsetenv("XDG_RUNTIME_DIR");
    ::unsetenv("XDG_STATE_HOME");
  }
};

std::string refusal(const Status& status) { return status ? "none" : status.error().reason; }

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("a session's directories are made private") {
  Home home;
  const auto paths = SessionPaths::of("20260101-000000-abcdef");
  REQUIRE(paths.has_value());
  REQUIRE(paths->make().has_value());
  CHECK(mode_of(paths->runtime) == 0700);
  CHECK(mode_of(home.path + "/sluice") == 0700);
  CHECK(mode_of(paths->state) == 0700);
  CHECK(path_exists(paths->state + "/snapshots"));
  CHECK(paths->make().has_value());
  CHECK(list_session_ids() == std::vector<std::string>{"20260101-000000-abcdef"});
}

TEST_CASE(
    "a runtime directory that is not ours alone is gone around, and the other one is written down "
    "(P16)") {
  Home home;
  const std::string ours = home.path + "/sluice";
  std::string why;
  SECTION("open to others") {
    REQUIRE(::mkdir(ours.c_str(), 0755) == 0);
    REQUIRE(::chmod(ours.c_str(), 0755) == 0);
    why = " has mode 0755, not 0700";
  }
  SECTION("a symbolic link, even to a private directory") {
    const std::string elsewhere = home.path + "/elsewhere";
    REQUIRE(::mkdir(elsewhere.c_str(), 0700) == 0);
    REQUIRE(::symlink(elsewhere.c_str(), ours.c_str()) == 0);
    why = " is not a directory";
  }
  SECTION("a file") {
    REQUIRE(write_file_atomic(ours, "").has_value());
    why = " is not a directory";
  }
  SECTION("somebody else's") {
    if (::getuid() != 0) return say_skipped("only root can give a directory to somebody else");
    REQUIRE(::mkdir(ours.c_str(), 0700) == 0);
    REQUIRE(::chown(ours.c_str(), 65534, 65534) == 0);
    why = " belongs to user 65534";
  }
  const auto paths = SessionPaths::of("s");
  REQUIRE(paths.has_value());
  CHECK_FALSE(paths->runtime.starts_with(home.path + "/sluice"));
  CHECK(paths->note == ours + why + ": the session's sockets are in " +
                           paths->runtime.substr(0, paths->runtime.size() - 2));
  REQUIRE(paths->make().has_value());
  CHECK(mode_of(paths->runtime) == 0700);
  // Whoever comes later finds it, whatever his environment says, and has nothing to tell.
  REQUIRE(remove_tree(ours).has_value());
  const auto later = SessionPaths::of("s");
  REQUIRE(later.has_value());
  CHECK(later->runtime == paths->runtime);
  CHECK(later->note.empty());
  CHECK(remove_tree(paths->runtime).has_value());
}

TEST_CASE("a session's own part of the runtime directory that is somebody else's is refused") {
  Home home;
  REQUIRE(::mkdir((home.path + "/sluice").c_str(), 0700) == 0);
  REQUIRE(::symlink("/tmp", (home.path + "/sluice/s").c_str()) == 0);
  const auto paths = SessionPaths::of("s");
  REQUIRE(paths.has_value());
  CHECK(refusal(paths->make()) == "insecure-directory");
}

TEST_CASE("where a session's sockets are isn't taken from a file that says nonsense") {
  Home home;
  const auto paths = SessionPaths::of("s");
  REQUIRE(paths.has_value());
  REQUIRE(paths->make().has_value());
  for (const char* text : {"", "\n", "/tmp/other\n", "relative/s\n", "/tmp/s"}) {
    CAPTURE(text);
    REQUIRE(write_file_atomic(paths->runtime_file(), text).has_value());
    CHECK(SessionPaths::of("s")->runtime == paths->runtime);
  }
}

TEST_CASE("a session lives while its lock is held, and is over without sockets") {
  Home home;
  const auto paths = SessionPaths::of("s");
  REQUIRE(paths.has_value());
  REQUIRE(paths->make().has_value());
  CHECK_FALSE(paths->lives());
  CHECK(paths->over());
  REQUIRE(write_file_atomic(paths->socket_path("records"), "").has_value());
  CHECK_FALSE(paths->over());
  REQUIRE(::unlink(paths->socket_path("records").c_str()) == 0);
  const UniqueFd lock(::open((paths->state + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::flock(lock.get(), LOCK_EX) == 0);
  CHECK(paths->lives());
  CHECK_FALSE(paths->over());
}

TEST_CASE("who was started by our parent, and who wasn't") {
  CHECK(started_by_supervisor(::getppid()));
  CHECK(started_by_supervisor(::getpid()));
  CHECK_FALSE(started_by_supervisor(1 + (::getppid() == 1)));
  CHECK_FALSE(started_by_supervisor(0));
  CHECK(is_process_of_session("scheduler"));
  CHECK_FALSE(is_process_of_session("runner-2"));
}

TEST_CASE("an id is no path, a socket's path fits") {
  Home home;
  for (const char* id :
       {"", ".", "..", "../x", "a/b", "A", "a b", "01234567890123456789012345678901234567890"}) {
    CAPTURE(id);
    REQUIRE_FALSE(SessionPaths::of(id).has_value());
    CHECK(SessionPaths::of(id).error().reason == "invalid-session");
  }
  CHECK(SessionPaths::of(new_session_id()).has_value());
  CHECK(new_session_id() != new_session_id());
  const std::string longest(90, 'x');
  ::setenv("XDG_RUNTIME_DIR", ("/tmp/" + longest).c_str(), 1);
  REQUIRE(SessionPaths::of("s").has_value());
  CHECK(SessionPaths::of("s")->note.find("longer than 107 bytes") != std::string::npos);
}

TEST_CASE("a service's command line") {
  Home home;
  const auto parse = [](std::vector<std::string> words) {
    words.insert(words.begin(), "sluice-x");
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    return parse_service_options(static_cast<int>(argv.size()), argv.data());
  };
  const auto good = parse({"--session", "s", "--instance", "x-1", "--epoch", "7", "--supervisor",
                           "3", "--listen", "records=4", "--listen", "jobs=5"});
  REQUIRE(good.has_value());
  CHECK(good->paths.id == "s");
  CHECK(good->epoch == 7);
  CHECK(good->listening == std::map<std::string, int>{{"records", 4}, {"jobs", 5}});
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{},
        {"--session", "s"},
        {"--session"},
        {"--session", "s", "--instance", "x", "--epoch", "-1"},
        {"--session", "s", "--instance", "x", "--listen", "records"},
        {"--session", "s", "--instance", "x", "--what", "1"},
        {"--session", "../s", "--instance", "x"}}) {
    CHECK_FALSE(parse(words).has_value());
  }
}

TEST_CASE("the supervisor's line gives whole lines and its end") {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  SupervisorLine line(pair[0]);
  UniqueFd other(pair[1]);
  bool closed = true;
  CHECK(line.receive(closed).empty());
  CHECK_FALSE(closed);
  REQUIRE(write_all(other.get(), "ready\nen").has_value());
  CHECK(line.receive(closed) == std::vector<std::string>{"ready"});
  REQUIRE(write_all(other.get(), "d\n\nlast").has_value());
  CHECK(line.receive(closed) == std::vector<std::string>{"end", ""});
  REQUIRE(line.send("ending").has_value());
  char buffer[16];
  CHECK(::read(other.get(), buffer, sizeof buffer) == 7);
  other.reset();
  CHECK(line.receive(closed).empty());
  CHECK(closed);
  // Nobody there: an error, not a signal.
  CHECK_FALSE(line.send("ended").has_value());
}
