#include <array>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "renderer/test_support.h"
#include "tests/support/test_directory.h"

namespace sluice::renderer {

namespace {

// Writes until nothing is taken any more; fails the test when that never comes.
std::size_t fill(FdSink& sink) {
  const std::string block(10'000, 'x');
  for (std::size_t all = 0; all < (64u << 20);) {
    const auto taken = sink.write(block);
    REQUIRE(taken);
    if (*taken == 0) return all;
    all += *taken;
  }
  FAIL("it takes everything");
  return 0;
}

}  // namespace

TEST_CASE("a pipe that nobody reads is never waited for, and its other users are left alone") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  auto sink = FdSink::of_descriptor(writer.get());
  REQUIRE(sink);
  CHECK(fill(*sink) > 4096);
  CHECK((::fcntl(writer.get(), F_GETFL) & O_NONBLOCK) == 0);
  Output output(*sink);
  output.add("more");
  REQUIRE(output.flush());
  CHECK(!output.idle());
  CHECK(output.pending() == 4);
  std::string buffer(1 << 20, '\0');
  REQUIRE(::read(reader.get(), buffer.data(), buffer.size()) > 0);
  REQUIRE(output.flush());
  CHECK(output.idle());
}

TEST_CASE("a socket is never waited for either") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  auto sink = FdSink::of_descriptor(writer.get());
  REQUIRE(sink);
  CHECK(fill(*sink) > 4096);
  CHECK((::fcntl(writer.get(), F_GETFL) & O_NONBLOCK) == 0);
  reader.reset();
  CHECK(sink->write("x").error().reason == "epipe");
}

TEST_CASE("files are emptied, or not; what is no file is not touched") {
  const TestDirectory directory;
  const std::string path = directory / "log";
  REQUIRE(write_file_atomic(path, "before\n"));
  {
    auto sink = FdSink::of_file(path, true);
    REQUIRE(sink);
    CHECK(sink->write("more\n") == 5u);
    CHECK(!sink->terminal());
  }
  CHECK(read_file(path) == "before\nmore\n");
  {
    auto sink = FdSink::of_file(path, false);
    REQUIRE(sink);
    CHECK(sink->write("new\n") == 4u);
  }
  CHECK(read_file(path) == "new\n");
  const std::string fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  UniqueFd reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto sink = FdSink::of_file(fifo, false);
  REQUIRE(sink);
  CHECK(fill(*sink) > 4096);
  CHECK(FdSink::of_file(directory / "no/directory", false).error().reason == "enoent");
  CHECK(FdSink::of_file(directory.str(), false).error().reason == "eisdir");
}

TEST_CASE("a burst's memory is given back") {
  TestSink sink;
  Output output(sink);
  sink.room = 100;
  output.add(std::string(3 << 20, 'x'));
  REQUIRE(output.flush());
  CHECK(output.pending() == (3 << 20) - 100);
  CHECK(output.writes() == 2);  // the second was refused
  sink.room = static_cast<std::size_t>(-1);
  REQUIRE(output.flush());
  CHECK(output.idle());
  CHECK(sink.all().size() == 3 << 20);
}

}  // namespace sluice::renderer
