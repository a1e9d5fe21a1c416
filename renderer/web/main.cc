// sluice-web: the sessions of this machine, for browsers on it.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <malloc.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"
#include "base/threads.h"
#include "base/try.h"
#include "renderer/web/access.h"
#include "renderer/web/hub.h"
#include "renderer/web/options.h"
#include "renderer/web/server.h"
#include "renderer/web/sessions.h"

namespace sluice::renderer {

namespace {

// The desktop's browser, which may take long and says what nobody wants to read.
void open_browser(const std::string& address) {
  if (std::getenv("DISPLAY") == nullptr && std::getenv("WAYLAND_DISPLAY") == nullptr) return;
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  SpawnOptions options;
  options.argv = {"xdg-open", address};
  options.standard_input = options.standard_output = options.standard_error = nothing.get();
  options.new_session = true;
  (void)spawn(options);
}

Status serve(const WebOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  // What was large once is given back: many threads come and go.
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 64 << 10);
  if (!options.session.empty()) TRY(known_session(options.session));
  Hub hub;
  WebServer::Settings settings;
  settings.port = options.port;
  settings.read_only = options.read_only;
  settings.token = TRY(new_secret());
  settings.cookie = TRY(new_secret());
  const auto server = TRY(WebServer::create(hub, settings));
  // Signals are for the reactor's thread, which reads them: no other one may have them.
  sigset_t signals, before;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, &before);
  std::thread serving = TRY(start_thread([&] { server->serve(); }));
  const std::string address =
      fmt::format("http://127.0.0.1:{}/?token={}{}", server->port(), settings.token,
                  options.session.empty() ? "" : "#" + options.session);
  Status done = write_all(1, address + "\n");
  if (done && options.open) open_browser(address);
  if (done) done = hub.run([&] { server->stop(); });
  hub.stop();
  server->stop();
  serving.join();
  return done;
}

int run(int argc, char** argv) {
  const auto options = parse_web_options({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "sluice-web: %s\n", options.error().message.c_str());
    return 2;
  }
  if (options->help) {
    std::fputs(web_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("sluice-web " SLUICE_VERSION);
    return 0;
  }
  const auto served = serve(*options);
  if (!served) {
    (void)write_all(2, clean(error_text(served.error())));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace sluice::renderer

int main(int argc, char** argv) { return sluice::renderer::run(argc, argv); }
