// The real `sluice-remote --serve` with the real sluice-cas as a session has it: mutual TLS, and
// who may do what by the certificate (spec/jobs.md, J80 to J89).
#include "wire/blob_helper.h"

#include <csignal>

#include <netinet/in.h>
#include <sys/socket.h>

#include "remote/bad_server.h"
#include "remote/blob_helper_bench.h"
#include "store/complete.h"

namespace sluice::remote {
namespace {

using namespace test;

TEST_CASE("What a job needs comes once, all of it, and what is there doesn't come (J81)") {
  Sample sample;
  Session session(sample.cas.cachedir());
  Target target;
  Speaker helper(target.cachedir, session.spec_of(session.runner));
  const std::vector<JobInput> inputs{tree(sample.info.files), blob(sample.info.public_data),
                                     blob(sample.info.low_diversity_meta)};
  const HelperReply first = helper.do_it(HelperVerb::kFetch, inputs);
  CHECK(error_of(first) == "");
  CHECK(first.bytes > 5'000'000);
  store::Cas cas = target.open();
  CHECK(store::tree_is_whole(cas, sample.info.files));
  CHECK(cas.contains(sample.info.low_diversity_meta));
  const HelperReply second = helper.do_it(HelperVerb::kFetch, inputs);
  CHECK(error_of(second) == "");
  CHECK(second.blobs == 0);
  target.check_sound(0);  // no refs: they weren't asked for
}

TEST_CASE("Several requests for the same blobs move them once (J81)") {
  Sample sample;
  Session session(sample.cas.cachedir());
  Target target;
  Speaker helper(target.cachedir, session.spec_of(session.runner));
  std::vector<std::uint64_t> asked;
  for (int i = 0; i < 6; ++i)
    asked.push_back(
        helper.ask(i == 5 ? HelperVerb::kPrefetch : HelperVerb::kFetch, {tree(sample.info.files)}));
  std::uint64_t bytes = 0, once = 0;
  for (const std::uint64_t id : asked) {
    const HelperReply reply = helper.reply(id);
    CHECK(error_of(reply) == "");
    bytes += reply.bytes;
    once = std::max(once, reply.bytes);
  }
  CHECK(once <= bytes);
  CHECK(bytes < 5'100'000);
}

TEST_CASE("Names are written last, and nowhere but where names are (J83)") {
  Sample sample(1000);
  Session session(sample.cas.cachedir());
  Target target;
  Speaker helper(target.cachedir, session.spec_of(session.runner));
  const std::string ref = store::artifact_ref("proj", "app.bst", kStrong);
  const Digest message = must(sample.cas.add(*must(store::Artifacts(sample.cas).message(ref))));
  const Digest source =
      must(sample.cas.add(*must(store::SourceRefs(sample.cas).element_message(kSources))));
  CHECK(error_of(helper.do_it(HelperVerb::kPrefetch,
                              {{"artifact", "artifacts/refs/" + ref, message}})) == "");
  CHECK_FALSE(target.has_artifact());
  CHECK(error_of(helper.do_it(HelperVerb::kFetch,
                              {{"artifact", "artifacts/refs/" + ref, message},
                               {"source", "elementsources/" + kSources, source},
                               {"source", "source_protos/tar/" + kSource, source}})) == "");
  CHECK(target.has_artifact());
  store::Cas cas = target.open();
  CHECK(must(store::SourceRefs(cas).lookup_element(kSources)) == sample.info.sources);
  CHECK(must(store::SourceRefs(cas).lookup_source("tar", kSource)) == sample.info.sources);
  CHECK(store::tree_is_whole(cas, sample.info.buildtree));

  for (const auto& [kind, name] : std::vector<std::pair<std::string, std::string>>{
           {"artifact", "artifacts/refs/../../../escaped/" + kStrong},
           {"artifact", "artifacts/refs/proj/../" + kStrong},
           {"artifact", "elementsources/" + kStrong},
           {"source", "elementsources/../escaped"},
           {"source", "source_protos/../" + kSource},
           {"source", "source_protos/tar/x/" + kSource},
           {"source", "/etc/escaped"},
           {"tree", "elementsources/" + kSources},
           {"file", ""}}) {
    INFO(kind << " " << name);
    CHECK(error_of(helper.do_it(HelperVerb::kFetch,
                                {{kind, name, kind == "source" ? source : message}})) != "");
  }
  target.check_sound(3);
  CHECK_FALSE(path_exists(target.place / "escaped"));
}

TEST_CASE("What the session doesn't have is said by name (J87)") {
  Sample sample(1000);
  Session session(sample.cas.cachedir());
  Target target;
  Speaker helper(target.cachedir, session.spec_of(session.runner));
  const Digest absent = store::digest_of("nobody has this");
  const HelperReply reply = helper.do_it(HelperVerb::kFetch, {blob(absent)});
  CHECK(error_of(reply) == "remote/missing-input");
  CHECK_THAT(reply.error->message, Catch::Matchers::Contains(absent.hash));
}

TEST_CASE("An artifact and a log go to the session, and no name (J82)") {
  Sample sample;
  Target served;
  { store::Cas made = served.open(); }
  Session session(served.cachedir);
  Speaker helper(sample.cas.cachedir(), session.spec_of(session.runner));
  sample.place.file("job.log", "what happened\n");
  const std::string ref = store::artifact_ref("proj", "app.bst", kStrong);
  const HelperReply reply = helper.do_it(HelperVerb::kUpload, {}, ref, sample.place / "job.log");
  CHECK(error_of(reply) == "");
  CHECK(reply.bytes > 5'000'000);
  store::Cas cas = served.open();
  CHECK(must(cas.read(reply.log)) == "what happened\n");
  const auto info = must(store::decode_artifact(must(cas.read(reply.artifact))));
  CHECK(store::Artifacts(cas).missing(info).empty());
  CHECK(store::tree_is_whole(cas, info.buildtree));
  CHECK_FALSE(served.has_artifact());
  // What is there is asked for, and doesn't travel again.
  CHECK(helper.do_it(HelperVerb::kUpload, {}, ref, sample.place / "job.log").blobs == 0);
  CHECK(error_of(helper.do_it(HelperVerb::kUpload, {},
                              store::artifact_ref("proj", "app.bst", std::string(64, 'e')))) ==
        "remote/not-cached");
}

TEST_CASE("Who isn't on the list gets nothing, by name (J82)") {
  Sample sample(1000);
  Session session(sample.cas.cachedir());
  Target target;
  const auto fetch = [&](const RemoteSpec& spec) {
    Speaker helper(target.cachedir, spec, "sluice-session", 0);
    return helper.do_it(HelperVerb::kFetch, {tree(sample.info.files)});
  };
  const Identity stranger = must(make_identity(session.place.path(), "stranger", "host-b"));
  const HelperReply refused = fetch(session.spec_of(stranger));
  CHECK(error_of(refused) == "remote/denied");
  CHECK_THAT(refused.error->message, Catch::Matchers::Contains("UNAUTHENTICATED") &&
                                         Catch::Matchers::Contains("unknown, was revoked"));
  RemoteSpec bare = session.spec_of(session.runner);
  bare.client_key = bare.client_cert = "";
  CHECK_THAT(fetch(bare).error->message, Catch::Matchers::Contains("none was shown"));
  // A key of another certificate proves nothing.
  RemoteSpec borrowed = session.spec_of(session.runner);
  borrowed.client_key = stranger.key;
  CHECK(fetch(borrowed).error);
  session.allow({.public_key = "k",
                 .role = "runner",
                 .name = "host-b",
                 .certificate = session.runner.fingerprint,
                 .revoked = true});
  CHECK(error_of(fetch(session.spec_of(session.runner))) == "remote/denied");
  session.allow({.public_key = "k",
                 .role = "observe",
                 .name = "wall",
                 .certificate = session.runner.fingerprint});
  CHECK(error_of(fetch(session.spec_of(session.runner))) == "");
  Speaker helper(sample.cas.cachedir(), session.spec_of(session.runner), "sluice-session", 0);
  const HelperReply upload =
      helper.do_it(HelperVerb::kUpload, {}, store::artifact_ref("proj", "app.bst", kStrong));
  CHECK(error_of(upload) == "remote/denied");
  CHECK_THAT(upload.error->message, Catch::Matchers::Contains("wall may not do that"));
}

TEST_CASE("Whoever has another certificate than the pinned one isn't the session (J82)") {
  Sample sample(1000);
  Session session(sample.cas.cachedir());
  Target target;
  RemoteSpec spec = session.spec_of(session.runner);
  spec.server_cert =
      must(make_identity(session.place.path(), "impostor", "sluice-session")).certificate;
  Speaker helper(target.cachedir, spec, "sluice-session", 0);
  CHECK(error_of(helper.do_it(HelperVerb::kFetch, {tree(sample.info.files)})) ==
        "remote/unreachable");
}

TEST_CASE("While the session's store is away a transfer waits, and may be cancelled (J87)") {
  Sample sample(1000);
  Session session(sample.cas.cachedir());
  const std::string bind = "127.0.0.1:" + std::to_string(session.server->port());
  session.server->kill();
  Target target;
  Speaker helper(target.cachedir, session.spec_of(session.runner));
  const std::uint64_t kept = helper.ask(HelperVerb::kFetch, {tree(sample.info.files)});
  const std::uint64_t dropped = helper.ask(HelperVerb::kFetch, {tree(sample.info.files)});
  CHECK_FALSE(helper.reply(kept, true).waits.empty());
  CHECK_FALSE(helper.reply(dropped, true).waits.empty());
  helper.cancel(dropped);
  CHECK(error_of(helper.reply(dropped)) == "remote/cancelled");
  // On the same port again, as the supervisor starts it.
  session.start(bind);
  CHECK(error_of(helper.reply(kept)) == "");
  store::Cas cas = target.open();
  CHECK(store::tree_is_whole(cas, sample.info.files));
}

TEST_CASE(
    "A port that somebody holds without listening can be served, one that is served not (J82)") {
  Sample sample(1000);
  const UniqueFd held(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  REQUIRE(::setsockopt(held.get(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) == 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(held.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(held.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  Session session(sample.cas.cachedir());
  const std::string bind = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  for (int i = 0; i < 3; ++i) {
    session.server->kill();
    session.start(bind);
    Target target;
    Speaker helper(target.cachedir, session.spec_of(session.runner));
    CHECK(error_of(helper.do_it(HelperVerb::kFetch, {tree(sample.info.files)})) == "");
  }
}

TEST_CASE("Other bytes than the digest says come to nothing (J83)") {
  Sample sample(5000);
  Target target;
  const auto fetch = [&](Misdeeds misdeeds, const Digest& digest) {
    const auto server = start_bad_server(sample.cas, std::move(misdeeds));
    Speaker helper(target.cachedir, spec(server->url()), "", 0);
    return helper.do_it(HelperVerb::kFetch, {tree(digest)});
  };
  Misdeeds batch;
  batch.batch_flipped = true;
  CHECK(error_of(fetch(batch, sample.info.files)) == "remote/misbehaved");
  Misdeeds stream;
  stream.stream = "flipped";
  CHECK(error_of(fetch(stream, sample.info.files)) == "remote/misbehaved");
  target.check_sound(0);
}

TEST_CASE("A helper that can't use what it is told says so") {
  Target target;
  Speaker helper(target.cachedir, spec("ftp://nowhere"));
  CHECK(error_of(helper.reply(0)) == "remote/bad-remote");
}

}  // namespace
}  // namespace sluice::remote
