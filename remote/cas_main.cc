// sluice-cas DIRECTORY: a server for artifacts and sources that Sluice and BuildStream share
// (docs/cache-server.md).
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "remote/cas_server.h"

namespace {

using sluice::Result;
using sluice::Status;
using sluice::remote::Cache;
using sluice::remote::Endpoint;

struct Options {
  std::string directory;
  std::string bind = "127.0.0.1:11001";
  std::string push_bind;
  bool allow_push = false;
  std::string server_key, server_cert, client_certs;
  std::string session_access;
  std::string instance_name;
  std::string quota;
  unsigned silence = 60;
};

tl::unexpected<sluice::Error> usage(std::string message) {
  return sluice::fail("server", "usage", std::move(message));
}

// As in BuildStream's configuration: a number, and K, M, G or T for powers of 1024.
Result<std::uint64_t> size_of(const std::string& text) {
  if (text.empty()) return 0;
  std::uint64_t value = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    if (value > (std::uint64_t{1} << 50))
      return usage(fmt::format("--quota: {} is too much", text));
    value = value * 10 + static_cast<std::uint64_t>(text[at] - '0');
  }
  const std::string unit = text.substr(at);
  const std::string_view units = "KMGT";
  const std::size_t power = unit.empty() ? 0 : units.find(unit[0]) + 1;
  if (at == 0 || unit.size() > 1 || power > units.size() || (!unit.empty() && power == 0)) {
    return usage(fmt::format("--quota: {} is not a valid data size.", text));
  }
  if (value == 0 || value > (std::uint64_t{INT64_MAX} >> (10 * power)))
    return usage(fmt::format("--quota: {} can't be used", text));
  return value << (10 * power);
}

Result<std::string> pem(const std::string& path) {
  if (path.empty()) return std::string();
  return sluice::read_file(path);
}

Status run(const Options& options, const sigset_t& signals) {
  auto quota = TRY(size_of(options.quota));
  if (options.server_key.empty() != options.server_cert.empty())
    return usage("--server-key and --server-cert go together");
  if (!options.client_certs.empty() && options.server_key.empty())
    return usage("--client-certs needs --server-key and --server-cert");
  if (options.allow_push && !options.push_bind.empty())
    return usage("--allow-push is for --bind; with --push-bind pushing has an address of its own");
  if (!options.session_access.empty()) {
    if (options.server_key.empty() || !options.client_certs.empty() || !options.push_bind.empty())
      return usage("--session-access needs --server-key and --server-cert, and no other clients");
  }
  Endpoint endpoint;
  if (!options.session_access.empty()) {
    endpoint.access = std::make_shared<sluice::remote::AccessCheck>(options.session_access);
    endpoint.push = true;
  }
  endpoint.address = options.bind;
  endpoint.push = endpoint.push || options.allow_push;
  std::string clients;
  for (const auto& [path, to] : {std::pair{&options.server_key, &endpoint.key},
                                 {&options.server_cert, &endpoint.certificate},
                                 {&options.client_certs, &clients}}) {
    auto text = TRY(pem(*path));
    *to = std::move(text);
  }
  std::vector<Endpoint> endpoints{endpoint};
  if (!options.push_bind.empty()) {
    endpoints.push_back(endpoint);
    endpoints.back().address = options.push_bind;
    endpoints.back().push = true;
  }
  // Where pushing has an endpoint of its own, the certificates of clients are asked for there.
  endpoints.back().client_certs = clients;

  std::error_code error;
  const std::string directory =
      std::filesystem::absolute(options.directory, error).lexically_normal().string();
  if (error) return usage(fmt::format("{}: {}", options.directory, error.message()));
  auto cache = TRY(Cache::open(directory, quota));
  auto server = TRY(sluice::remote::start_cas_server(*cache, endpoints, options.instance_name,
                                                     std::chrono::seconds(options.silence)));
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    std::printf("%s %s\n", endpoints[i].push ? "push" : "pull", server->urls()[i].c_str());
  }
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&signals, &signal);
  server->stop();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Serves a directory of artifacts and sources over gRPC, for Sluice and BuildStream",
               "sluice-cas"};
  app.set_version_flag("--version", "sluice-cas " SLUICE_VERSION);
  app.add_option("directory", options.directory, "Where they are kept; made when it is absent")
      ->required();
  app.add_option("--bind", options.bind,
                 "HOST:PORT, or unix:PATH; port 0 takes a free one. Which one is printed")
      ->capture_default_str();
  app.add_flag("--allow-push", options.allow_push, "Who reaches --bind may push");
  app.add_option("--push-bind", options.push_bind, "A second address, where pushing is allowed");
  app.add_option("--server-key", options.server_key, "File of the private key for TLS (PEM)");
  app.add_option("--server-cert", options.server_cert, "File of its certificate (PEM)");
  app.add_option("--client-certs", options.client_certs,
                 "File of the certificates that clients' must be signed by (PEM); for --push-bind, "
                 "or for --bind when there is no other");
  app.add_option("--session-access", options.session_access,
                 "State directory of a session: who was enrolled there may come, each as what it "
                 "was enrolled as");
  app.add_option("--quota", options.quota,
                 "Most to keep, as 50G; what was used least recently goes first");
  app.add_option("--client-timeout", options.silence,
                 "Seconds after which a call ends whose client takes and sends nothing")
      ->capture_default_str()
      ->check(CLI::Range(1u, 86'400u));
  app.add_option("--instance-name", options.instance_name, "The name that clients give");
  CLI11_PARSE(app, argc, argv);

  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  // Signals are blocked before there is a thread, since threads inherit that.
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (auto done = run(options, signals); !done) {
    std::fprintf(stderr, "sluice-cas: %s\n", done.error().str().c_str());
    return done.error().reason == "usage" ? 2 : 1;
  }
  return 0;
}
