// The real `sluice-remote --serve` with two real servers: the session's store, and a storage
// service of the runner's own machine, by TLS with certificates of clients (spec/jobs.md, J97,
// J98).
#include "remote/near_storage.h"

#include <chrono>
#include <thread>

#include <unistd.h>

#include "remote/bad_server.h"
#include "remote/blob_helper_bench.h"
#include "store/complete.h"

namespace sluice::remote {
namespace {

using namespace test;

// A storage service over a store, for clients with the one certificate.
struct Storage {
  Place place;
  Identity server_identity = must(make_identity(place.path(), "storage", "localhost"));
  Identity client = must(make_identity(place.path(), "client", "host-b"));
  RealServer server;

  explicit Storage(const std::string& directory, bool takes = true)
      : server(directory, options(takes)) {}
  RemoteSpec spec() const {
    RemoteSpec spec;
    spec.url = "https://localhost:" + std::to_string(server.port());
    spec.server_cert = server_identity.certificate;
    spec.client_key = client.key;
    spec.client_cert = client.certificate;
    return spec;
  }

 private:
  std::vector<std::string> options(bool takes) const {
    std::vector<std::string> more{"--server-key",   server_identity.key,
                                  "--server-cert",  server_identity.certificate,
                                  "--client-certs", client.certificate};
    if (takes) more.push_back("--allow-push");
    return more;
  }
};

// A runner's store, and its helper.
struct FarRunner {
  Target target;
  Speaker helper;

  FarRunner(const Session& session, const RemoteSpec& storage)
      : helper(target.cachedir, session.spec_of(session.runner), "sluice-session", 0, storage) {}
  HelperReply fetch(const Sample& sample) {
    return helper.do_it(HelperVerb::kFetch, {tree(sample.info.files), blob(sample.info.public_data),
                                             blob(sample.info.low_diversity_meta)});
  }
};

std::string all(const std::vector<std::string>& warnings) {
  std::string text;
  for (const std::string& warning : warnings) text += warning + "\n";
  return text;
}

// Waits until a store that others write into has the tree.
bool comes_to_have(const std::string& cachedir, const Digest& root) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < until) {
    if (store::tree_is_whole(must(store::Cas::open(cachedir)), root)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

constexpr std::uint64_t kNoise = 5'000'000;

TEST_CASE("What the storage service has comes from there; the session isn't asked (J97)") {
  Sample sample, stored;
  REQUIRE(sample.info.files == stored.info.files);
  Session session(sample.cas.cachedir());
  Storage storage(stored.cas.cachedir());
  // It couldn't answer if it were.
  session.server->kill();
  FarRunner runner(session, storage.spec());
  const HelperReply reply = runner.fetch(sample);
  CHECK(error_of(reply) == "");
  CHECK(reply.storage_bytes > kNoise);
  CHECK(reply.bytes == 0);
  CHECK(all(reply.warnings) == "");
  CHECK(store::tree_is_whole(runner.target.open(), sample.info.files));
  runner.target.check_sound(0);
}

TEST_CASE("What the storage service lacks comes from the session, and is offered to it (J97)") {
  Sample sample, stored;
  // A file, and a directory with what is below it known nevertheless.
  const Digest file = store::digest_of("file 7");
  const auto top = must(store::read_directory(stored.cas, stored.info.files));
  REQUIRE(top.directories.size() == 1);
  const Digest usr = top.directories[0].digest;
  for (const Digest& gone : {file, usr})
    REQUIRE(::unlink(stored.cas.object_path(gone).c_str()) == 0);
  Session session(sample.cas.cachedir());
  Storage storage(stored.cas.cachedir());
  FarRunner first(session, storage.spec());
  const HelperReply reply = first.fetch(sample);
  CHECK(error_of(reply) == "");
  CHECK(reply.bytes == static_cast<std::uint64_t>(file.size + usr.size));
  CHECK(reply.blobs == 2);
  CHECK(reply.storage_bytes > kNoise);
  CHECK(all(reply.warnings) == "");
  // The next one finds it all there.
  REQUIRE(comes_to_have(stored.cas.cachedir(), sample.info.files));
  session.server->kill();
  FarRunner second(session, storage.spec());
  CHECK(error_of(second.fetch(sample)) == "");
}

TEST_CASE("What one runner made the next one gets from the storage service (J85, J97)") {
  Sample sample;
  Target served, stored;
  { const store::Cas made = served.open(), other = stored.open(); }
  Session session(served.cachedir);
  Storage storage(stored.cachedir);
  {
    Speaker maker(sample.cas.cachedir(), session.spec_of(session.runner), "sluice-session", 0,
                  storage.spec());
    const HelperReply reply =
        maker.do_it(HelperVerb::kUpload, {}, store::artifact_ref("proj", "app.bst", kStrong));
    CHECK(error_of(reply) == "");
    CHECK(reply.bytes > kNoise);
    CHECK(reply.storage_bytes > kNoise);
    CHECK(all(reply.warnings) == "");
  }
  // The session has all of it in any case.
  CHECK(store::tree_is_whole(served.open(), sample.info.files));
  session.server->kill();
  FarRunner next(session, storage.spec());
  const HelperReply reply = next.fetch(sample);
  CHECK(error_of(reply) == "");
  CHECK(reply.storage_bytes > kNoise);
}

TEST_CASE("A storage service that can't be used costs a warning, once (J98)") {
  Sample sample, stored;
  Session session(sample.cas.cachedir());
  Storage storage(stored.cas.cachedir());
  RemoteSpec spec = storage.spec();
  std::string why;
  SECTION("it is down") {
    storage.server.kill();
    why = "UNAVAILABLE";
  }
  SECTION("it wants other credentials") {
    const Identity stranger = must(make_identity(storage.place.path(), "stranger", "host-b"));
    spec.client_key = stranger.key;
    spec.client_cert = stranger.certificate;
    why = "UNAVAILABLE";
  }
  SECTION("its certificate is another") {
    spec.server_cert = session.cas.certificate;
    why = "UNAVAILABLE";
  }
  SECTION("a file of credentials isn't there") {
    spec.client_key = "/nonexistent.key";
    why = "Failed to load credentials file: /nonexistent.key";
  }
  SECTION("its address can't be one") {
    spec.url = "https://";
    why = "no host";
  }
  FarRunner runner(session, spec);
  const HelperReply reply = runner.fetch(sample);
  CHECK(error_of(reply) == "");
  CHECK(reply.bytes > kNoise);
  CHECK(reply.storage_bytes == 0);
  CHECK_THAT(all(reply.warnings), Catch::Matchers::Contains("Storage service " + spec.url) &&
                                      Catch::Matchers::Contains(why));
  CHECK(store::tree_is_whole(runner.target.open(), sample.info.files));
  // Not again for what else is fetched.
  const HelperReply more = runner.helper.do_it(HelperVerb::kFetch, {tree(sample.info.sources)});
  CHECK(error_of(more) == "");
  CHECK(all(more.warnings).find("is done without") == std::string::npos);
}

TEST_CASE("A storage service that is silent is done without (J98)") {
  Sample sample;
  Session session(sample.cas.cachedir());
  Misdeeds misdeeds;
  misdeeds.stream = "hangs";
  const auto server = start_bad_server(sample.cas, misdeeds);
  RemoteSpec storage = spec(server->url());
  storage.request_timeout = 1;
  FarRunner runner(session, storage);
  const HelperReply reply = runner.fetch(sample);
  CHECK(error_of(reply) == "");
  CHECK_THAT(all(reply.warnings), Catch::Matchers::Contains("did nothing for 1 s"));
  CHECK(store::tree_is_whole(runner.target.open(), sample.info.files));
}

TEST_CASE("Other bytes than the digest says are refused, and come from the session (J83, J98)") {
  Sample sample;
  Session session(sample.cas.cachedir());
  Misdeeds misdeeds;
  SECTION("in batches") { misdeeds.batch_flipped = true; }
  SECTION("in a stream") { misdeeds.stream = "flipped"; }
  SECTION("without an end") { misdeeds.stream = "endless"; }
  const auto server = start_bad_server(sample.cas, misdeeds);
  FarRunner runner(session, spec(server->url()));
  const HelperReply reply = runner.fetch(sample);
  CHECK(error_of(reply) == "");
  CHECK(reply.bytes > 0);
  CHECK_THAT(all(reply.warnings),
             Catch::Matchers::Contains("gave what was refused") &&
                 Catch::Matchers::Contains(server->url() + " sent something else"));
  CHECK(store::tree_is_whole(runner.target.open(), sample.info.files));
  runner.target.check_sound(0);
}

// A service in memory that takes what it is given when it is let.
class SlowPeer final : public Peer {
 public:
  explicit SlowPeer(std::shared_ptr<std::atomic<bool>> open) : open_(std::move(open)) {}
  const RemoteSpec& spec() const override { return spec_; }
  Result<std::size_t> batch_limit() override { return std::size_t{1} << 20; }
  Status check_index() override { return {}; }
  Result<std::vector<Digest>> missing(const std::vector<Digest>& digests) override {
    return digests;
  }
  Result<std::vector<PeerBlob>> read_batch(const std::vector<Digest>&) override { return none(); }
  Result<std::vector<PeerBlob>> write_batch(const std::vector<PeerBlob>&) override {
    open_->wait(false);
    return std::vector<PeerBlob>();
  }
  Status read_stream(const Digest&, const std::function<Status(std::string_view)>&) override {
    return none();
  }
  Status write_stream(const Digest&, int) override { return none(); }
  Result<std::optional<Digest>> fetch_blob(const std::vector<std::string>&) override {
    return none();
  }
  Result<std::optional<Digest>> fetch_directory(const std::vector<std::string>&) override {
    return none();
  }
  Status push_blob(const std::vector<std::string>&, const Digest&, const std::vector<Digest>&,
                   const std::vector<Digest>&) override {
    return none();
  }
  Status push_directory(const std::vector<std::string>&, const Digest&) override { return none(); }

 private:
  static tl::unexpected<Error> none() { return fail("remote", "unsupported", "not asked for"); }
  const RemoteSpec spec_ = test::spec("http://slow");
  const std::shared_ptr<std::atomic<bool>> open_;
};

TEST_CASE("Results don't wait for a storage service that is behind (J98)") {
  using Clock = std::chrono::steady_clock;
  Target target;
  store::Cas cas = target.open();
  const auto open = std::make_shared<std::atomic<bool>>(false);
  NearStorage storage(cas, spec("http://slow"), [&](const RemoteSpec&, const std::string&) {
    return Result<std::unique_ptr<Peer>>(std::make_unique<SlowPeer>(open));
  });
  const std::atomic<bool> never{false};
  const auto keep = [&](const char* text) {
    auto made = std::make_shared<NearStorage::Keep>();
    made->blobs = {must(cas.add(text))};
    storage.keep_made(made);
    return made;
  };
  const auto one = keep("one"), two = keep("two");
  storage.await(*one, std::chrono::milliseconds(50), never);
  CHECK_FALSE(one->done);
  CHECK_THAT(all(storage.take_warnings()), Catch::Matchers::Contains("http://slow is slow"));
  // The time that another would have isn't waited for.
  const auto before = Clock::now();
  storage.await(*two, std::chrono::minutes(10), never);
  CHECK(Clock::now() - before < std::chrono::minutes(5));
  CHECK_FALSE(two->done);
  CHECK(all(storage.take_warnings()) == "");
  // When it has caught up it is waited for again.
  *open = true;
  open->notify_all();
  const auto until = Clock::now() + std::chrono::seconds(30);
  while (!two->done && Clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  REQUIRE(two->done);
  const auto three = keep("three");
  storage.await(*three, std::chrono::minutes(10), never);
  CHECK(three->done);
  CHECK(three->moved.bytes == 5);
}

TEST_CASE("A storage service that takes nothing is read all the same (J98)") {
  Sample sample, stored;
  REQUIRE(::unlink(stored.cas.object_path(store::digest_of("file 7")).c_str()) == 0);
  Session session(sample.cas.cachedir());
  Storage storage(stored.cas.cachedir(), false);
  FarRunner runner(session, storage.spec());
  CHECK(error_of(runner.helper.do_it(HelperVerb::kFetch, {blob(store::digest_of("file 7"))})) ==
        "");
  runner.target.place.file("job.log", "what happened\n");
  const HelperReply log =
      runner.helper.do_it(HelperVerb::kUpload, {}, {}, runner.target.place / "job.log");
  CHECK(error_of(log) == "");
  CHECK(log.storage_bytes == 0);
  CHECK_THAT(all(log.warnings), Catch::Matchers::Contains("doesn't keep") &&
                                    Catch::Matchers::Contains("PERMISSION_DENIED"));
  const HelperReply reply = runner.fetch(sample);
  CHECK(error_of(reply) == "");
  CHECK(reply.storage_bytes > kNoise);
}

}  // namespace
}  // namespace sluice::remote
