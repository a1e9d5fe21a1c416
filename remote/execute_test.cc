// The real sluice-execute with a real sluice-cas as storage service and an execution server that
// really runs commands, rightly and wrongly (exec_server.h).
#include "remote/execute.h"

#include <csignal>
#include <filesystem>

#include <poll.h>

#include "base/file.h"
#include "remote/exec_server.h"
#include "remote/real_server.h"
#include "remote/test_remote.h"
#include "store/tree.h"
#include "wire/held_helper.h"
#include "wire/job_protocol.h"

namespace sluice::remote {
namespace {

using namespace test;

// A store with a root that has a shell, a server of blobs, an execution server; and what has been
// told.
struct Setting {
  Place here, there;
  store::Cas cas = here.open();
  store::Cas server_cas = there.open();
  RealServer storage{there / "cache"};
  std::unique_ptr<ExecServer> server;
  std::vector<std::string> steps, infos;

  explicit Setting(std::string misdeed = {})
      : server(start_exec_server(server_cas, {std::move(misdeed)})) {}

  wire::ExecuteRequest request(const std::string& script) {
    static const std::string busybox = must(read_file("/usr/bin/busybox"));
    store::Tree root(cas);
    must(root.put_file("bin/busybox", must(cas.add(busybox)), true));
    for (const char* name : {"sh", "cat", "mkdir", "echo", "ls", "sleep", "rm"})
      must(root.put_symlink(std::string("bin/") + name, "busybox"));
    for (const char* name : {"dev", "proc", "tmp", "build", "install"})
      must(root.make_directory(name));
    must(root.put_file("build/source", must(cas.add("the source\n")), false));
    must(root.set_subtree_read_only("build", false));
    must(root.set_subtree_read_only("install", false));
    must(root.set_subtree_read_only("", true));
    wire::ExecuteRequest request;
    request.cachedir = cas.cachedir();
    request.execution = spec(server->url());
    request.execution.retry_limit = 2;
    request.storage = spec(storage.url());
    request.argv = {"sh", "-c", "-e", script};
    request.directory = "/build";
    request.environment = {{"PATH", "/bin"}, {"WORD", "it's"}};
    request.outputs = {"/build", "/install"};
    request.platform = {{"ISA", "x86-64"}, {"OSFamily", "linux"}};
    request.root = must(root.store(cas));
    return request;
  }

  wire::HeldHelper start(wire::ExecuteRequest request) {
    return must(wire::HeldHelper::start("sluice-execute", wire::encode(request)));
  }

  // Reads events until the end, or until `step` begins.
  Result<wire::ExecuteReply> listen(wire::HeldHelper& helper, const std::string& info = {}) {
    wire::FrameReader frames;
    char buffer[4096];
    for (;;) {
      pollfd fd{helper.out(), POLLIN, 0};
      if (::poll(&fd, 1, 60'000) != 1) return fail("test", "hangs", "Nothing came for a minute");
      const ssize_t n = ::read(helper.out(), buffer, sizeof buffer);
      if (n <= 0) return fail("test", "died", "sluice-execute ended");
      frames.append({buffer, static_cast<std::size_t>(n)});
      for (auto body = must(frames.next()); body; body = must(frames.next())) {
        auto event = must(wire::decode<wire::ExecuteEvent>(*body));
        if (event.reply) return std::move(*event.reply);
        if (event.error) return tl::unexpected<Error>(event.error->to_error());
        if (!event.step.empty()) steps.push_back(event.step);
        if (!event.info.empty()) infos.push_back(event.info);
        if (!info.empty() && event.info == info) return wire::ExecuteReply{};
      }
    }
  }

  Result<wire::ExecuteReply> run(const wire::ExecuteRequest& request) {
    auto helper = start(request);
    return listen(helper);
  }
  Result<wire::ExecuteReply> run(const std::string& script) { return run(request(script)); }

  std::string text(const wire::ExecuteReply& reply, const std::string& path,
                   const std::string& file) {
    for (const auto& output : reply.outputs) {
      if (output.path != path) continue;
      const auto tree = must(store::Tree::open(cas, output.root));
      const auto entry = must(tree.find(file));
      return entry ? must(cas.read(entry->digest)) : "absent";
    }
    return "no such output";
  }
};

}  // namespace

TEST_CASE("a command runs elsewhere, and what it left and wrote comes back") {
  Setting setting;
  const auto reply = setting.run(
      "cat source > /install/copy; echo $WORD > made; echo out; echo err >&2; mkdir /install/d");
  if (!reply) FAIL(reply.error().str());
  CHECK(reply->exit_code == 0);
  CHECK_FALSE(reply->known);
  CHECK(setting.text(*reply, "/install", "copy") == "the source\n");
  CHECK(setting.text(*reply, "/build", "made") == "it's\n");
  CHECK(setting.text(*reply, "/build", "source") == "the source\n");
  CHECK(must(setting.cas.read(reply->standard_output)) == "out\n");
  CHECK(must(setting.cas.read(reply->standard_error)) == "err\n");
  CHECK(setting.steps == std::vector<std::string>{"Uploading input root",
                                                  "Waiting for the remote build to complete"});
  CHECK(setting.infos ==
        std::vector<std::string>{"The remote build is queued", "The remote build is executing"});
  CHECK(setting.server->executed() == std::vector<std::string>{reply->action.hash});

  // Of a command that fails all that is known comes, too.
  const auto failed = setting.run("echo partial > /install/part; echo broken >&2; exit 7");
  if (!failed) FAIL(failed.error().str());
  CHECK(failed->exit_code == 7);
  CHECK(setting.text(*failed, "/install", "part") == "partial\n");
  CHECK(must(setting.cas.read(failed->standard_error)) == "broken\n");
}

TEST_CASE("what an action cache knows isn't run again") {
  Setting setting;
  auto request = setting.request("echo once > /install/file; echo said");
  request.action_cache = spec(setting.server->url());
  REQUIRE(must(setting.run(request)).known == false);
  setting.steps.clear();
  const auto again = must(setting.run(request));
  CHECK(again.known);
  CHECK(setting.steps.empty());
  CHECK(setting.infos.back() == "Action result found in action cache");
  CHECK(setting.text(again, "/install", "file") == "once\n");
  CHECK(must(setting.cas.read(again.standard_output)) == "said\n");
  CHECK(setting.server->executed().size() == 1);

  // Where the blobs of a result are gone it is made anew.
  const auto file = store::digest_of("once\n");
  must(setting.cas.remove(file));
  must(setting.server_cas.remove(file));
  const auto anew = must(setting.run(request));
  CHECK_FALSE(anew.known);
  CHECK(setting.text(anew, "/install", "file") == "once\n");
  CHECK(setting.server->executed().size() == 2);
}

TEST_CASE("directories that come as Tree messages are taken apart") {
  Setting setting("trees");
  const auto reply = setting.run("mkdir -p /install/a/b; echo deep > /install/a/b/file");
  if (!reply) FAIL(reply.error().str());
  CHECK(setting.text(*reply, "/install", "a/b/file") == "deep\n");
}

TEST_CASE("a connection that breaks is taken up again, and what runs isn't run twice") {
  Setting setting("breaks");
  const auto reply = setting.run("sleep 1; echo done > /install/file");
  if (!reply) FAIL(reply.error().str());
  CHECK(setting.text(*reply, "/install", "file") == "done\n");
  CHECK(setting.server->waited() == 1);
  CHECK(setting.server->executed().size() == 1);
}

TEST_CASE("what a server has forgotten is run again") {
  Setting setting("forgets");
  const auto reply = setting.run("sleep 1; echo done > /install/file");
  if (!reply) FAIL(reply.error().str());
  CHECK(setting.text(*reply, "/install", "file") == "done\n");
  CHECK(setting.server->executed().size() == 2);
}

TEST_CASE("blobs that a server says it lacks are sent again") {
  Setting setting("lacks");
  const auto reply = setting.run("echo done > /install/file");
  if (!reply) FAIL(reply.error().str());
  CHECK(setting.text(*reply, "/install", "file") == "done\n");
  CHECK(setting.steps.back() == "Uploading input root");
}

TEST_CASE("servers that fail and lie are told of by name, and nothing of theirs is believed") {
  struct Case {
    const char* what;
    const char* reason;
    const char* message;
  };
  const Case cases[] = {
      {"fails", "remote/remote-failed", "Execute failed with status INTERNAL: out of [31m order"},
      {"cannot", "sandbox/execution-failed", "no worker fits"},
      {"garbage", "remote/misbehaved", "no ExecuteResponse"},
      {"denies", "remote/denied", "UNAUTHENTICATED: who [31m are you"},
      {"deaf", "remote/unreachable", "does not support operation status polling recovery"},
      {"ends", "remote/misbehaved", "without a result, again and again"},
      {"bad-tree", "remote/misbehaved", "Tree"},
      {"no-digest", "remote/misbehaved", "Output directory structure had no digest attached."},
      {"foreign-output", "remote/misbehaved", "nobody asked for: ../../../etc"},
      {"file-output", "remote/misbehaved", "Output files were returned"},
      {"lost", "remote/misbehaved", "lacks blobs of what the command left"},
      {"flipped", "remote/misbehaved", "sent something else than what was asked for"},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    Setting setting(one.what);
    const auto reply = setting.run("echo x > /install/file");
    REQUIRE_FALSE(reply);
    CHECK(reason(reply) == one.reason);
    CHECK_THAT(reply.error().message, Catch::Contains(one.message));
  }
}

TEST_CASE("a server that isn't there is told of") {
  Setting setting;
  auto request = setting.request("true");
  request.execution = spec("http://127.0.0.1:1");
  const auto reply = setting.run(request);
  CHECK(reason(reply) == "remote/unreachable");
  CHECK_THAT(reply.error().message,
             Catch::StartsWith("Failed contacting remote execution server at http://127.0.0.1:1"));
  request.execution = spec(setting.server->url());
  request.storage = spec("http://127.0.0.1:1");
  CHECK(reason(setting.run(request)) == "remote/unreachable");
  request.storage = spec("nonsense");
  CHECK(reason(setting.run(request)) == "remote/bad-remote");
}

TEST_CASE("an operation that nobody waits for any more is cancelled") {
  for (const std::string what : {"hangs", ""}) {
    Setting setting(what);
    auto helper = setting.start(setting.request("sleep 600"));
    REQUIRE(setting.listen(helper, "The remote build is executing"));
    helper.release();
    CHECK(reason(setting.listen(helper)) == "job/killed");
    CHECK(helper.end() == 1);
    CHECK(setting.server->cancelled() == std::vector<std::string>{"operations/1"});
  }
}

}  // namespace sluice::remote
