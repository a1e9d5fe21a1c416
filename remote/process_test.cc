// The real sluice-remote with the real sluice-cas, and with servers that misbehave; on ports that
// the system chooses.
#include "base/process.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "remote/bad_client.h"
#include "remote/bad_server.h"
#include "remote/real_server.h"
#include "remote/test_remote.h"
#include "wire/messages.h"

namespace sluice::remote {
namespace {

using namespace test;
Piped begin(const RemoteRequest& request, const Place& place) {
  static int serial = 0;
  const std::string file = place / ("request-" + std::to_string(serial++));
  RemoteRequest packed = request;
  must(write_file_atomic(file, wire::encode(packed)));
  return start({"sluice-remote", file});
}

Result<RemoteReply> answer(Piped& running) {
  const std::string output = must(read_all(running.out.get()));
  const ExitStatus status = wait_for(running.process);
  if (status.code == 0) return wire::decode<RemoteReply>(output);
  auto error = wire::decode<wire::ErrorBody>(output);
  if (!error)
    return fail("test", "died", "sluice-remote ended with status " + std::to_string(status.code));
  return tl::unexpected<Error>(error->to_error());
}

Result<RemoteReply> ask(const RemoteRequest& request, const Place& place) {
  Piped running = begin(request, place);
  return answer(running);
}

std::string warning(const RemoteReply& reply) {
  for (const RemoteNote& note : reply.notes) {
    if (note.level == "warn") return note.text;
  }
  return {};
}

// Passes bytes between clients and a server, until so many have gone by: then something happens,
// and connections end.
class Proxy {
 public:
  Proxy(int port, std::uint64_t bytes, std::function<void()> then)
      : server_port_(port), bytes_(bytes), then_(std::move(then)) {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 8) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Proxy() {
    stop_ = true;
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  bool happened() const { return happened_; }

 private:
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void run() {
    struct Pair {
      UniqueFd client, server;
    };
    std::vector<Pair> pairs;
    std::uint64_t passed = 0;
    while (!stop_) {
      std::vector<pollfd> fds{{listener_.get(), POLLIN, 0}};
      for (const Pair& pair : pairs) {
        fds.push_back({pair.client.get(), POLLIN, 0});
        fds.push_back({pair.server.get(), POLLIN, 0});
      }
      if (::poll(fds.data(), fds.size(), 20) <= 0) continue;
      std::vector<Pair> open;
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        bool good = true;
        for (const bool from_server : {false, true}) {
          if (fds[1 + 2 * i + from_server].revents == 0) continue;
          char buffer[16384];
          const int from = from_server ? pairs[i].server.get() : pairs[i].client.get();
          const ssize_t n = ::read(from, buffer, sizeof buffer);
          if (n <= 0 || !write_all(from_server ? pairs[i].client.get() : pairs[i].server.get(),
                                   {buffer, static_cast<std::size_t>(std::max<ssize_t>(n, 0))})) {
            good = false;
            break;
          }
          passed += static_cast<std::uint64_t>(n);
        }
        if (good) open.push_back(std::move(pairs[i]));
      }
      pairs = std::move(open);
      if (!happened_ && passed >= bytes_) {
        happened_ = true;
        then_();
        pairs.clear();
      }
      if (fds[0].revents != 0) {
        UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in address = loopback(server_port_);
        if (::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
            0)
          continue;
        pairs.push_back({std::move(client), std::move(server)});
      }
    }
  }

  int server_port_;
  int port_ = 0;
  std::uint64_t bytes_;
  std::function<void()> then_;
  UniqueFd listener_;
  std::atomic<bool> stop_{false}, happened_{false};
  std::thread thread_;
};

TEST_CASE("An artifact and its sources by way of a real server") {
  Sample sample;
  Place place;
  RealServer server(place / "served");
  const auto pushed = must(ask(sample.push({spec(server.url(), true)}), place));
  CHECK(pushed.done);
  CHECK(pushed.bytes > 5'000'000);
  CHECK_FALSE(must(ask(sample.push({spec(server.url(), true)}), place)).done);
  CHECK(must(ask(sample.request("push-sources", sample.cas.cachedir(), {spec(server.url(), true)}),
                 place))
            .done);

  Target target;
  auto request = sample.request("pull-artifact", target.cachedir, {spec(server.url())});
  SECTION("without the build tree") {
    CHECK(must(ask(request, place)).done);
    store::Cas cas = target.open();
    CHECK_FALSE(cas.contains(sample.info.buildtree));
    CHECK(must(store::Artifacts(cas).message("proj/app/" + kWeak)) ==
          must(store::Artifacts(sample.cas).message("proj/app/" + kWeak)));
  }
  SECTION("with it") {
    request.buildtree = true;
    CHECK(must(ask(request, place)).done);
    store::Cas cas = target.open();
    CHECK(store::Artifacts(cas).tree_complete(sample.info.buildtree));
    CHECK(store::Artifacts(cas).tree_complete(sample.info.sources));
  }
  target.check_sound(2);
  CHECK(
      must(ask(sample.request("pull-sources", target.cachedir, {spec(server.url())}), place)).done);
  target.check_sound(3);
  CHECK(server.stop() == 0);
  // What is served is a cache directory, and whole.
  Target served;
  served.cachedir = place / "served";
  served.check_sound(4);
}

TEST_CASE("By way of a socket, and with an instance's name") {
  Sample sample(1000);
  Place place;
  SECTION("a socket") {
    RealServer server(place / "served", {"--allow-push"}, 1, "unix:" + (place / "socket"));
    CHECK(must(ask(sample.push({spec(server.url(), true)}), place)).done);
  }
  SECTION("a name") {
    RealServer server(place / "served", {"--instance-name", "team/one", "--allow-push"});
    auto named = spec(server.url(), true);
    CHECK(reason(ask(sample.push({named}), place)) == "remote/remote-failed");
    named.instance_name = "team/one";
    Sample large;  // by stream, too
    CHECK(must(ask(large.push({named}), place)).done);
    Target target;
    CHECK(must(ask(large.request("pull-artifact", target.cachedir, {named}), place)).done);
  }
}

TEST_CASE("A blob that is missing on the server") {
  Sample sample;
  Place place;
  {
    RealServer server(place / "served");
    must(ask(sample.push({spec(server.url(), true)}), place));
  }
  Target target;
  RealServer server(place / "served");
  must(must(store::Cas::open(place / "served")).remove(store::digest_of("file 7")));
  const auto pulled =
      must(ask(sample.request("pull-artifact", target.cachedir, {spec(server.url())}), place));
  CHECK_FALSE(pulled.done);
  target.check_sound(0);
  // Pushing it again mends it.
  CHECK(must(ask(sample.push({spec(server.url(), true)}), place)).blobs == 1);
  CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {spec(server.url())}), place))
            .done);
}

TEST_CASE("Where pushing isn't allowed it is refused, and pulling goes on") {
  Sample sample(1000);
  Place place;
  RealServer server(place / "served", {"--push-bind", "127.0.0.1:0"}, 2);
  const auto refused = must(ask(sample.push({spec(server.url(0), true)}), place));
  CHECK_FALSE(refused.done);
  CHECK_THAT(warning(refused), Catch::Matchers::Contains("Pushing is not allowed here"));
  Target served;
  served.cachedir = place / "served";
  served.check_sound(0);
  auto check =
      sample.request("check", sample.cas.cachedir(),
                     {spec(server.url(0), true), spec(server.url(0)), spec(server.url(1), true)});
  const auto checked = must(ask(check, place));
  CHECK(checked.reached == std::vector<std::string>{server.url(0), server.url(1)});
  CHECK_THAT(warning(checked), Catch::Matchers::Contains("PERMISSION_DENIED"));

  CHECK(must(ask(sample.push({spec(server.url(1), true)}), place)).done);
  Target target;
  CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {spec(server.url(0))}), place))
            .done);
}

TEST_CASE("A server that can't be reached is a warning") {
  Sample sample(1000);
  Place place;
  std::string url;
  {
    RealServer server(place / "served");
    url = server.url();
  }
  Target target;
  const auto pulled =
      must(ask(sample.request("pull-artifact", target.cachedir, {spec(url)}), place));
  CHECK_FALSE(pulled.done);
  CHECK(pulled.reached.empty());
  CHECK_THAT(warning(pulled),
             Catch::Matchers::StartsWith("Failed to initialize remote " + url + ": "));
  CHECK_FALSE(must(ask(sample.push({spec(url, true)}), place)).done);
}

TEST_CASE("The server is killed in the middle of a pull") {
  Sample sample(20'000'000);
  Place place;
  auto server = std::make_unique<RealServer>(place / "served");
  must(ask(sample.push({spec(server->url(), true)}), place));
  Target target;
  {
    Proxy proxy(server->port(), 10'000'000, [&] { server->kill(); });
    const auto pulled =
        ask(sample.request("pull-artifact", target.cachedir, {spec(proxy.url())}), place);
    REQUIRE(proxy.happened());
    CHECK(reason(pulled) == "remote/unreachable");
  }
  target.check_sound(0);
  CHECK_FALSE(target.has_artifact());
  server = std::make_unique<RealServer>(place / "served");
  CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {spec(server->url())}), place))
            .done);
  target.check_sound(2);
}

TEST_CASE("The connection breaks in the middle of a pull: what is tried again goes on from there") {
  Sample sample(20'000'000);
  Place place;
  RealServer server(place / "served");
  must(ask(sample.push({spec(server.url(), true)}), place));
  Target target;
  Proxy proxy(server.port(), 10'000'000, [] {});
  auto patient = spec(proxy.url());
  patient.retry_limit = 5;
  const auto pulled = must(ask(sample.request("pull-artifact", target.cachedir, {patient}), place));
  REQUIRE(proxy.happened());
  CHECK(pulled.done);
  target.check_sound(2);
}

TEST_CASE("The client is killed in the middle, of a pull and of a push") {
  Sample sample(20'000'000);
  Place place;
  RealServer server(place / "served");
  const std::string from = sample.cas.cachedir();
  const auto interrupted = [&](const std::function<RemoteRequest(const std::string&)>& request,
                               std::uint64_t bytes) {
    std::atomic<pid_t> pid{-1};
    Piped running;
    Proxy proxy(server.port(), bytes, [&] {
      while (pid < 0) std::this_thread::yield();
      ::kill(pid, SIGKILL);
    });
    running = begin(request(proxy.url()), place);
    pid = running.process.pid;
    const ExitStatus status = wait_for(running.process);
    REQUIRE(proxy.happened());
    CHECK(status.signal == SIGKILL);
  };
  interrupted(
      [&](const std::string& url) {
        return sample.request("push-artifact", from, {spec(url, true)});
      },
      10'000'000);
  Target served;
  served.cachedir = place / "served";
  served.check_sound(0);
  CHECK(must(ask(sample.push({spec(server.url(), true)}), place)).done);
  Target target;
  interrupted(
      [&](const std::string& url) {
        return sample.request("pull-artifact", target.cachedir, {spec(url)});
      },
      10'000'000);
  target.check_sound(0);
  CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {spec(server.url())}), place))
            .done);
  target.check_sound(2);
  // What the killed one left goes with the next that looks.
  CHECK(must(target.open().sweep_temporary()) <= 1);
}

TEST_CASE("The server is killed in the middle of a push") {
  Sample sample(20'000'000);
  Place place;
  auto server = std::make_unique<RealServer>(place / "served");
  {
    Proxy proxy(server->port(), 10'000'000, [&] { server->kill(); });
    const auto pushed = ask(sample.push({spec(proxy.url(), true)}), place);
    REQUIRE(proxy.happened());
    CHECK(reason(pushed) == "remote/unreachable");
  }
  Target served;
  served.cachedir = place / "served";
  served.check_sound(0);
  server = std::make_unique<RealServer>(place / "served");
  CHECK(must(ask(sample.push({spec(server->url(), true)}), place)).done);
  served.check_sound(2);
}

TEST_CASE("Servers that say what isn't so") {
  Sample sample(100'000);
  Place place;
  Misdeeds misdeeds;
  misdeeds.name =
      must(sample.cas.add(*must(store::Artifacts(sample.cas).message("proj/app/" + kStrong))));
  Target target;
  const auto pull = [&](std::int64_t timeout = 0) {
    const auto server = start_bad_server(sample.cas, misdeeds);
    auto remote = spec(server->url());
    remote.request_timeout = timeout;
    return ask(sample.request("pull-artifact", target.cachedir, {remote}), place);
  };
  SECTION("nothing wrong: the test's server can be pulled from") {
    CHECK(must(pull()).done);
    target.check_sound(2);
    return;
  }
  SECTION("a stream of other bytes") { misdeeds.stream = "flipped"; }
  SECTION("a stream that is too short") { misdeeds.stream = "short"; }
  SECTION("a stream without an end") { misdeeds.stream = "endless"; }
  SECTION("a batch of other bytes") {
    misdeeds.batch_flipped = true;
    misdeeds.batch_limit = 1'000'000;
  }
  SECTION("a digest that is a path") {
    misdeeds.name_hash = "../../../../../../../../../../../../../../../../tmp/sluice-escaped";
  }
  SECTION("a digest with upper case") { misdeeds.name_hash = std::string(64, 'A'); }
  SECTION("a message of a terabyte") { misdeeds.name.size = std::int64_t{1} << 40; }
  CHECK(reason(pull()) == "remote/misbehaved");
  target.check_sound(0);
}

TEST_CASE("Servers that break, hang and deny") {
  Sample sample(100'000);
  Place place;
  Misdeeds misdeeds;
  misdeeds.name =
      must(sample.cas.add(*must(store::Artifacts(sample.cas).message("proj/app/" + kStrong))));
  Target target;
  SECTION("a stream that breaks goes on where it was") {
    misdeeds.stream = "breaks-once";
    misdeeds.batch_limit = 50'000;  // one blob goes by stream
    const auto server = start_bad_server(sample.cas, misdeeds);
    auto remote = spec(server->url());
    remote.retry_limit = 1;
    CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {remote}), place)).done);
    // The first to come is the artifact's message, by itself.
    const auto offsets = server->offsets();
    REQUIRE(offsets.size() >= 2);
    CHECK(offsets[0] == 0);
    CHECK(offsets[1] == misdeeds.name.size / 2);
    target.check_sound(2);
  }
  SECTION("one that hangs is given up when its time is up") {
    misdeeds.batch_limit = 50'000;
    SECTION("before the first part of a stream") { misdeeds.stream = "hangs"; }
    SECTION("in the middle of a stream") { misdeeds.stream = "stalls"; }
    const auto server = start_bad_server(sample.cas, misdeeds);
    auto remote = spec(server->url());
    remote.request_timeout = 1;
    remote.retry_limit = 0;
    CHECK(reason(ask(sample.request("pull-artifact", target.cachedir, {remote}), place)) ==
          "remote/unreachable");
    target.check_sound(0);
  }
  SECTION("one that says nothing when it is asked for a name is left out, in a check too") {
    misdeeds.silent = true;
    const auto server = start_bad_server(sample.cas, misdeeds);
    auto remote = spec(server->url());
    remote.request_timeout = 1;
    remote.retry_limit = 0;
    for (const char* verb : {"pull-artifact", "check"}) {
      const auto reply = must(ask(sample.request(verb, target.cachedir, {remote}), place));
      CHECK_FALSE(reply.done);
      CHECK_THAT(warning(reply), Catch::Matchers::StartsWith("Failed to initialize remote"));
    }
  }
  SECTION("one that is slow isn't given up as long as something comes") {
    misdeeds.stream = "slow";
    misdeeds.batch_limit = 50'000;
    const auto server = start_bad_server(sample.cas, misdeeds);
    auto remote = spec(server->url());
    remote.request_timeout = 2;
    remote.retry_limit = 0;
    CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {remote}), place)).done);
    target.check_sound(2);
  }
  SECTION("one that wants somebody else is left out, and its words do nothing to the terminal") {
    misdeeds.denies = true;
    const auto server = start_bad_server(sample.cas, misdeeds);
    const auto pulled =
        must(ask(sample.request("pull-artifact", target.cachedir, {spec(server->url())}), place));
    CHECK_FALSE(pulled.done);
    CHECK_THAT(warning(pulled),
               Catch::Matchers::EndsWith(
                   "FetchBlob failed with status UNAUTHENTICATED: who [31m are you"));
  }
}

// ---- TLS ---------------------------------------------------------------------

struct Identity {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();

  // Signed by `issuer`, or by itself.
  explicit Identity(const char* name, const Identity* issuer = nullptr) {
    static long serial = 1;
    const Identity& signer = issuer != nullptr ? *issuer : *this;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate));
    X509V3_CTX context;
    X509V3_set_ctx(&context, signer.certificate, certificate, nullptr, nullptr, 0);
    for (const auto& [what, value] :
         {std::pair{NID_basic_constraints, issuer != nullptr ? "CA:FALSE" : "CA:TRUE"},
          std::pair{NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"}}) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value);
      REQUIRE(extension != nullptr);
      X509_add_ext(certificate, extension, -1);
      X509_EXTENSION_free(extension);
    }
    REQUIRE(X509_sign(certificate, signer.key, EVP_sha256()) > 0);
  }
  Identity(const Identity&) = delete;
  ~Identity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  std::string write(const Place& place, const std::string& name) const {
    const std::string path = place / name;
    FILE* file = std::fopen((path + ".key").c_str(), "we");
    REQUIRE(file != nullptr);
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    file = std::fopen((path + ".crt").c_str(), "we");
    REQUIRE(file != nullptr);
    PEM_write_X509(file, certificate);
    std::fclose(file);
    return path;
  }
};

TEST_CASE("TLS: the server's certificate is checked, and clients' where they are asked for") {
  Sample sample(1000);
  Place place;
  const Identity authority("authority"), other("other");
  const Identity server_identity("server", &authority), client_identity("client", &authority),
      stranger("stranger", &other);
  authority.write(place, "authority");
  other.write(place, "other");
  server_identity.write(place, "server");
  client_identity.write(place, "client");
  stranger.write(place, "stranger");
  RealServer server(
      place / "served",
      {"--push-bind", "127.0.0.1:0", "--server-key", place / "server.key", "--server-cert",
       place / "server.crt", "--client-certs", place / "authority.crt"},
      2);
  REQUIRE(server.url(0).starts_with("https://"));
  auto pull = spec(server.url(0));
  pull.server_cert = place / "authority.crt";
  auto push = spec(server.url(1), true);
  push.server_cert = place / "authority.crt";

  SECTION("a client that is known pushes, anybody pulls") {
    push.client_key = place / "client.key";
    push.client_cert = place / "client.crt";
    CHECK(must(ask(sample.push({push}), place)).done);
    Target target;
    CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {pull}), place)).done);
  }
  SECTION("a client without a certificate doesn't push") {
    const auto pushed = must(ask(sample.push({push}), place));
    CHECK_FALSE(pushed.done);
    CHECK(pushed.reached.empty());
  }
  SECTION("nor does one with a certificate from elsewhere") {
    push.client_key = place / "stranger.key";
    push.client_cert = place / "stranger.crt";
    CHECK(must(ask(sample.push({push}), place)).reached.empty());
  }
  SECTION("a server that isn't trusted isn't talked to") {
    Target target;
    pull.server_cert = place / "other.crt";
    const auto pulled = must(ask(sample.request("pull-artifact", target.cachedir, {pull}), place));
    CHECK(pulled.reached.empty());
    CHECK_FALSE(warning(pulled).empty());
    pull.server_cert.clear();  // what the system trusts
    CHECK(
        must(ask(sample.request("pull-artifact", target.cachedir, {pull}), place)).reached.empty());
  }
  SECTION("without TLS there is nobody") {
    auto plain = spec("http" + server.url(0).substr(5));
    Target target;
    CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {plain}), place))
              .reached.empty());
  }
  Target served;
  served.cachedir = place / "served";
  served.check_sound(served.has_artifact() ? 2 : 0);
}

TEST_CASE("A token goes with each call, and never without TLS") {
  Sample sample(1000);
  Place place;
  must(write_file_atomic(place / "token", "secret\n"));
  auto plain = spec("http://127.0.0.1:1");
  plain.access_token = place / "token";
  CHECK(reason(ask(sample.push({spec("http://127.0.0.1:1", true)}), place)).empty());
  plain.push = true;
  CHECK(reason(ask(sample.push({plain}), place)) == "remote/bad-remote");
  auto secure = spec("https://127.0.0.1:1", true);
  secure.access_token = place / "absent";
  CHECK(reason(ask(sample.push({secure}), place)) == "remote/bad-remote");
}

TEST_CASE("Addresses and files that can't be used") {
  Sample sample(1000);
  Place place;
  for (const std::string url :
       {"", "ftp://host:1", "http://", "http:///path", "http://host:99999",
        "http://host:", "http://name:word@host:1", "http://ho st:1", "127.0.0.1:1"}) {
    INFO(url);
    CHECK(reason(ask(sample.push({spec(url, true)}), place)) == "remote/bad-remote");
  }
  const auto status = [&](std::vector<std::string> argv) {
    Piped running = start(std::move(argv), true);
    return wait_for(running.process).code;
  };
  CHECK(status({"sluice-remote"}) == 2);
  CHECK(status({"sluice-remote", place / "absent"}) == 1);
  must(write_file_atomic(place / "noise", "\xc1\xff not a message"));
  CHECK(status({"sluice-remote", place / "noise"}) == 1);
  CHECK(status({"sluice-cas", place / "served", "--quota", "10X"}) == 2);
  CHECK(status({"sluice-cas", place / "served", "--bind", "nonsense"}) == 1);
  CHECK(status({"sluice-cas", place / "served", "--bind", "127.0.0.1:0", "--server-key",
                place / "noise", "--server-cert", place / "noise"}) == 1);
  CHECK(status({"sluice-cas", place / "served", "--client-certs", place / "noise"}) == 2);
  RealServer server(place / "served");
  CHECK(status({"sluice-cas", place / "served", "--bind", server.url().substr(7)}) == 1);
}

TEST_CASE("Clients that only claim to send, or send something else, get no room") {
  Sample sample(400'000);
  Place place;
  RealServer server(place / "served", {"--allow-push", "--quota", "2000000"});
  REQUIRE(must(ask(sample.push({spec(server.url(), true)}), place)).done);
  const std::string claimed(1'900'000, 'c');
  const auto client = connect_bad_client(server.url());
  client->send(store::digest_of(claimed), "", true);
  client->send(store::digest_of(claimed), "", false);
  client->send(store::digest_of(claimed), std::string(claimed.size(), 'd'), false);
  Target target;
  CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {spec(server.url())}), place))
            .done);
  target.check_sound(2);
}

TEST_CASE("Clients that take nothing of what they asked for keep nobody waiting") {
  Sample sample;
  Place place;
  RealServer server(place / "served");
  REQUIRE(must(ask(sample.push({spec(server.url(), true)}), place)).done);
  const Digest large = store::digest_of(must(read_file(sample.place / "files/usr/share/noise")));
  std::vector<std::unique_ptr<BadClient>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(connect_bad_client(server.url()));
    clients.back()->ask_and_not_read(large, 64);
  }
  Target target;
  auto remote = spec(server.url());
  remote.request_timeout = 20;
  remote.retry_limit = 0;
  CHECK(must(ask(sample.request("pull-artifact", target.cachedir, {remote}), place)).done);
  target.check_sound(2);
}

TEST_CASE("A client that takes nothing for a while is cut off") {
  Sample sample;
  Place place;
  RealServer server(place / "served", {"--allow-push", "--client-timeout", "1"});
  REQUIRE(must(ask(sample.push({spec(server.url(), true)}), place)).done);
  const Digest large = store::digest_of(must(read_file(sample.place / "files/usr/share/noise")));
  const auto client = connect_bad_client(server.url());
  client->ask_and_not_read(large, 1);
  // The server has a descriptor of the blob open as long as it waits.
  const auto open = [&] {
    const std::string descriptors = "/proc/" + std::to_string(server.pid()) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(descriptors)) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone)
              .string()
              .ends_with(large.hash.substr(2)))
        return true;
    }
    return false;
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto soon = [&](bool wanted) {
    while (open() != wanted && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return open() == wanted;
  };
  CHECK(soon(true));
  CHECK(soon(false));
}

}  // namespace
}  // namespace sluice::remote
