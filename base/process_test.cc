#include "base/process.h"

#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace sluice;

TEST_CASE("spawn tells when a program can't be run") {
  const auto process = spawn({.argv = {"/nonexistent/program"}});
  REQUIRE_FALSE(process.has_value());
  CHECK(process.error().reason == "enoent");
}

TEST_CASE("a child has the descriptors it was given, under their numbers, and no others") {
  int pipe_fds[2];
  REQUIRE(::pipe(pipe_fds) == 0);  // without close-on-exec, on purpose
  UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  UniqueFd leaked(::open("/dev/null", O_RDONLY));
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' ' >&7"};
  options.keep_fds = {{write_end.get(), 7}};
  auto process = spawn(options);
  REQUIRE(process.has_value());
  write_end.reset();
  const auto text = read_all(read_end.get());
  CHECK(wait_for(*process).code == 0);
  // ls opens the directory itself as the lowest free number.
  CHECK(text.value() == "0 1 2 3 7 ");
}

TEST_CASE("two descriptors may change places") {
  int a[2];
  int b[2];
  REQUIRE(::pipe2(a, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(b, O_CLOEXEC) == 0);
  SpawnOptions options;
  options.argv = {"/bin/sh",
                  "-c",
                  "eval \"echo first >&$1; echo second >&$2\"",
                  "sh",
                  std::to_string(a[1]),
                  std::to_string(b[1])};
  options.keep_fds = {{a[1], b[1]}, {b[1], a[1]}};
  auto process = spawn(options);
  REQUIRE(process.has_value());
  ::close(a[1]);
  ::close(b[1]);
  CHECK(read_all(b[0]).value() == "first\n");
  CHECK(read_all(a[0]).value() == "second\n");
  CHECK(wait_for(*process).code == 0);
  ::close(a[0]);
  ::close(b[0]);
}

TEST_CASE("the end by a signal is told apart from an exit") {
  auto process = spawn({.argv = {"/bin/sleep", "1000"}});
  REQUIRE(process.has_value());
  CHECK_FALSE(poll_exit(*process).has_value());
  REQUIRE(send_signal(*process, SIGKILL).has_value());
  const auto end = wait_for(*process);
  CHECK(end.signal == SIGKILL);
  CHECK(end.code == 128 + SIGKILL);
}
