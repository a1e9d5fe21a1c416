// sluice-metrics: numbers of sessions for Prometheus. See kHelp.
#include <csignal>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <unistd.h>

#include <fmt/format.h>
#include <httplib.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/threads.h"
#include "base/try.h"
#include "renderer/arguments.h"
#include "renderer/metrics/figures.h"
#include "renderer/watch.h"
#include "wire/follow.h"

namespace sluice::metrics {

namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2;
constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";
// How often the file is written, and what is served made anew, at most.
constexpr Duration kRefresh = std::chrono::seconds(1);
constexpr int kServerThreads = 2;

constexpr std::string_view kHelp =
    R"(Usage: sluice-metrics [--session ID] [--listen ADDRESS] [--textfile FILE]

Says numbers of sessions in Prometheus' text format.

  --session ID         one session: what there is now is printed, unless one of the
                       next two is given. Without it: all sessions that live, and
                       those that begin later
  --listen HOST:PORT   serve them at /metrics, on an address of this machine only
                       (port 0: any; it is printed), until SIGTERM or SIGINT
  --textfile FILE      write them to FILE, a whole one each time, at most once a
                       second; with --session alone until its end
  --help, --version
)";

// An address of this machine alone, as IPv6 without brackets. 127.evil.example is none.
bool is_loopback(const std::string& host) {
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) == 1) return ntohl(address.s_addr) >> 24 == 127;
  return host == "::1" || host == "localhost";
}

std::string without_brackets(const std::string& host) {
  return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

// The server's end: threads of its own, which get a text.
class Server {
 public:
  static Result<std::unique_ptr<Server>> create(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    const std::string host = without_brackets(address.substr(0, colon));
    const std::string digits = colon == std::string::npos ? "" : address.substr(colon + 1);
    const bool number = !digits.empty() && digits.size() < 6 &&
                        digits.find_first_not_of("0123456789") == std::string::npos;
    const int port = number ? std::atoi(digits.c_str()) : -1;
    if (port < 0 || port > 65535 || host.empty())
      return fail("app", "usage",
                  fmt::format("--listen: '{}' is no address such as 127.0.0.1:9109", address));
    if (!is_loopback(host)) {
      return fail("app", "usage",
                  fmt::format("--listen: {} isn't an address of this machine alone: who is let in "
                              "isn't asked for a password",
                              host));
    }
    auto server = std::make_unique<Server>();
    httplib::Server& http = server->http_;
    http.new_task_queue = [] { return new httplib::ThreadPool(kServerThreads); };
    http.Get("/metrics",
             [raw = server.get()](const httplib::Request&, httplib::Response& response) {
               response.set_content(raw->text(), kContentType);
             });
    http.Get("/", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("See /metrics\n", "text/plain");
    });
    // No page of the web may read this by a name that it has made mean this machine. What is posted
    // isn't read, since nothing here would bound it.
    http.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
      if (request.method != "GET" && request.method != "HEAD") {
        response.status = 405;
        response.set_header("Connection", "close");
        return httplib::Server::HandlerResponse::Handled;
      }
      std::string name = request.get_header_value("Host");
      if (const std::size_t end = name.rfind(':'); end != std::string::npos && !name.ends_with(']'))
        name.resize(end);
      if (is_loopback(without_brackets(name))) return httplib::Server::HandlerResponse::Unhandled;
      response.status = 403;
      response.set_content("This is served by 127.0.0.1, [::1] and localhost only\n", "text/plain");
      return httplib::Server::HandlerResponse::Handled;
    });
    const int bound = port == 0                       ? http.bind_to_any_port(host)
                      : http.bind_to_port(host, port) ? port
                                                      : -1;
    if (bound <= 0) return fail_errno(errno, fmt::format("--listen {}", address));
    server->place_ =
        fmt::format("http://{}:{}/metrics",
                    host.find(':') == std::string::npos ? host : "[" + host + "]", bound);
    server->thread_ = TRY(start_thread([&http] { http.listen_after_bind(); }));
    return server;
  }
  ~Server() {
    // Who stops a server that has not begun would wait for ever.
    while (thread_.joinable() && !http_.is_running()) std::this_thread::yield();
    http_.stop();
    if (thread_.joinable()) thread_.join();
  }
  const std::string& place() const { return place_; }
  void set(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }

 private:
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  httplib::Server http_;
  std::thread thread_;
  std::string place_;
  std::mutex mutex_;
  std::string text_;
};

Status decode_and(std::string_view packed, const std::function<void(const wire::Event&)>& take) {
  const auto event = wire::decode_event(packed);
  if (!event) return tl::unexpected<Error>(event.error());
  take(*event);
  return {};
}

// Of the first record alone that can't be read.
void say_left_out(const Error& error) {
  (void)write_all(STDERR_FILENO,
                  fmt::format("sluice-metrics: a record is left out: {}\n", error.str()));
}

Status print(const std::string& session) {
  const wire::SessionPaths paths = TRY(wire::SessionPaths::of(session));
  Figures figures;
  bool said = false;
  CHECK(wire::read_until_now(paths, "metrics", [&](std::string_view packed) {
    const Status taken =
        decode_and(packed, [&](const wire::Event& event) { figures.record(paths.id, event); });
    if (!taken && !std::exchange(said, true)) say_left_out(taken.error());
    return true;
  }));
  return write_all(STDOUT_FILENO, figures.text());
}

class Service {
 public:
  explicit Service(const renderer::Arguments& arguments)
      : session_(arguments.text("--session")), textfile_(arguments.text("--textfile")),
        listen_(arguments.text("--listen")) {}

  Status run() {
    // Before any thread is made, which inherits what is blocked.
    for (const int signal : {SIGTERM, SIGINT})
      CHECK(reactor_.on_signal(signal, [this] { reactor_.stop(); }));
    std::signal(SIGPIPE, SIG_IGN);
    if (!listen_.empty()) {
      server_ = TRY(Server::create(listen_));
      CHECK(write_all(STDOUT_FILENO, server_->place() + "\n"));
    }
    context_ = std::make_unique<wire::Context>();
    renderer::Watch::Settings settings;
    settings.session = session_;
    settings.name = "metrics";
    settings.topics = {"status/"};
    watch_ = TRY(renderer::Watch::create(
        *context_, reactor_, std::move(settings),
        {[this](const std::string& session, std::string_view packed) {
           note(decode_and(packed, [&](const wire::Event& e) { figures_.record(session, e); }));
         },
         [this](const std::string& session, std::string_view packed) {
           note(decode_and(packed, [&](const wire::Event& e) { figures_.status(session, e); }));
         },
         [this](const std::string& session, bool) { end(session); }}));
    reactor_.every(kRefresh, [this] { refresh(); });
    refresh();
    reactor_.run();
    changed_ = true;
    refresh();
    return status_;
  }

 private:
  void note(const Status& taken) {
    changed_ = true;
    if (!taken && !std::exchange(said_, true)) say_left_out(taken.error());
  }
  void end(const std::string& session) {
    changed_ = true;
    if (session_.empty()) return figures_.forget(session);
    if (listen_.empty()) return reactor_.stop();
    refresh();
  }
  void refresh() {
    if (!std::exchange(changed_, false)) return;
    std::string text = figures_.text();
    if (!textfile_.empty()) {
      if (auto written = write_file_atomic(textfile_, text, 0644); !written) {
        status_ = std::move(written);
        return reactor_.stop();
      }
    }
    if (server_) server_->set(std::move(text));
  }

  const std::string session_, textfile_, listen_;
  wire::Reactor reactor_;
  std::unique_ptr<wire::Context> context_;
  std::unique_ptr<renderer::Watch> watch_;
  std::unique_ptr<Server> server_;
  Figures figures_;
  bool changed_ = true;
  bool said_ = false;
  Status status_;
};

Status serve(const renderer::Arguments& arguments) {
  CHECK(arguments.no_words());
  if (!arguments.has("--listen") && !arguments.has("--textfile")) {
    if (!arguments.has("--session"))
      return fail("app", "usage", "one of --session, --listen and --textfile is needed");
    return print(arguments.text("--session"));
  }
  return Service(arguments).run();
}

}  // namespace

int run(const std::vector<std::string>& given) {
  const auto arguments = renderer::Arguments::read(given, {"--session", "--listen", "--textfile"},
                                                   {"--help", "--version"});
  if (arguments && arguments->has("--help")) {
    (void)write_all(STDOUT_FILENO, kHelp);
    return kDone;
  }
  if (arguments && arguments->has("--version")) {
    (void)write_all(STDOUT_FILENO, "sluice-metrics " SLUICE_VERSION "\n");
    return kDone;
  }
  const Status served = arguments ? serve(*arguments) : tl::unexpected<Error>(arguments.error());
  if (served) return kDone;
  (void)write_all(STDERR_FILENO, fmt::format("sluice-metrics: {}\n", served.error().str()));
  return served.error().reason == "usage" ? kUsage : kFailed;
}

}  // namespace sluice::metrics

int main(int argc, char** argv) { return sluice::metrics::run({argv + 1, argv + argc}); }
