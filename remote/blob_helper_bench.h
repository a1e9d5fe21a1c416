// For tests of `sluice-remote --serve`: a session's store, and somebody who speaks to a helper.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/identity.h"
#include "remote/real_server.h"
#include "remote/test_remote.h"
#include "wire/access.h"
#include "wire/blob_helper.h"
#include "wire/job_protocol.h"

namespace sluice::remote::test {

using wire::HelperReply;
using wire::HelperRequest;
using wire::HelperVerb;
using wire::JobInput;

// A session's store, served by the certificate.
struct Session {
  Place place;
  Identity cas, runner;
  std::unique_ptr<RealServer> server;
  std::string directory;

  explicit Session(std::string cachedir) : directory(std::move(cachedir)) {
    cas = must(make_identity(place.path(), "cas", "sluice-session"));
    runner = must(make_identity(place.path(), "runner", "host-b"));
    allow(
        {.public_key = "k", .role = "runner", .name = "host-b", .certificate = runner.fingerprint});
    start("127.0.0.1:0");
  }
  void allow(wire::AccessEntry entry) {
    must(wire::write_access_list(place / "state", {{std::move(entry)}}));
  }
  void start(const std::string& bind) {
    server = std::make_unique<RealServer>(
        directory,
        std::vector<std::string>{"--server-key", cas.key, "--server-cert", cas.certificate,
                                 "--session-access", place / "state"},
        1, bind);
  }
  RemoteSpec spec_of(const Identity& who) const {
    RemoteSpec spec;
    spec.url = server->url();
    spec.server_cert = cas.certificate;
    spec.client_key = who.key;
    spec.client_cert = who.certificate;
    return spec;
  }
};

// Speaks to a helper of its own.
class Speaker {
 public:
  Speaker(const std::string& cachedir, RemoteSpec spec, std::string name = "sluice-session",
          std::uint32_t patience_s = 600, std::optional<RemoteSpec> storage = {}) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    socket_.reset(ends[0]);
    const UniqueFd theirs(ends[1]);
    SpawnOptions options;
    options.argv = {find_program("sluice-remote"), "--serve"};
    options.standard_input = theirs.get();
    options.die_with_parent = true;
    process_ = must(spawn(options));
    say(wire::encode(wire::HelperOpen{cachedir, std::move(spec), std::move(name), patience_s,
                                      std::move(storage)}));
  }
  ~Speaker() {
    socket_.reset();
    wait_for(process_);
  }

  std::uint64_t ask(HelperVerb verb, std::vector<JobInput> inputs = {}, std::string ref = {},
                    std::string log = {}) {
    say(wire::encode(
        HelperRequest{++id_, verb, std::move(inputs), std::move(ref), std::move(log)}));
    return id_;
  }
  void cancel(std::uint64_t id) {
    HelperRequest request;
    request.id = id;
    request.verb = HelperVerb::kCancel;
    say(wire::encode(request));
  }
  // The next reply to the request; `waits`: the next that isn't the end.
  HelperReply reply(std::uint64_t id, bool waits = false) {
    for (;;) {
      for (auto reply = kept_.begin(); reply != kept_.end(); ++reply) {
        if (reply->id != id || reply->waits.empty() == waits) continue;
        HelperReply found = *reply;
        kept_.erase(reply);
        return found;
      }
      pollfd fd{socket_.get(), POLLIN, 0};
      REQUIRE(::poll(&fd, 1, 60'000) == 1);
      char buffer[65536];
      const ssize_t n = ::read(socket_.get(), buffer, sizeof buffer);
      REQUIRE(n > 0);
      frames_.append({buffer, static_cast<std::size_t>(n)});
      for (auto body = must(frames_.next()); body; body = must(frames_.next()))
        kept_.push_back(must(wire::decode<HelperReply>(*body)));
    }
  }
  HelperReply do_it(HelperVerb verb, std::vector<JobInput> inputs, std::string ref = {},
                    std::string log = {}) {
    return reply(ask(verb, std::move(inputs), std::move(ref), std::move(log)));
  }

 private:
  void say(const std::string& body) { must(write_all(socket_.get(), wire::frame(body))); }
  UniqueFd socket_;
  Process process_;
  wire::FrameReader frames_;
  std::deque<HelperReply> kept_;
  std::uint64_t id_ = 0;
};

inline std::string error_of(const HelperReply& reply) {
  return reply.error ? reply.error->domain + "/" + reply.error->reason : "";
}

inline JobInput tree(const Digest& digest) { return {"tree", {}, digest}; }
inline JobInput blob(const Digest& digest) { return {"blob", {}, digest}; }

}  // namespace sluice::remote::test
