#include "renderer/web/server.h"

#include <atomic>
#include <cerrno>
#include <mutex>
#include <set>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/try.h"
#include "renderer/page/measured.h"
#include "renderer/page/page.h"
#include "renderer/page/reasons.h"
#include "renderer/page/session_digest.h"
#include "renderer/web/access.h"
#include "renderer/web/connections.h"
#include "renderer/web/event_stream.h"
#include "renderer/web/sessions.h"
#include "renderer/web/streams.h"
#include "wire/record_json.h"

namespace sluice::renderer {

namespace {

using httplib::Request;
using httplib::Response;

constexpr std::size_t kMostPath = 300, kMostBody = 64 << 10;
constexpr std::size_t kSlice = 64 << 10;
constexpr Duration kPatience = std::chrono::seconds(20);
constexpr int kSendBuffer = 256 << 10;
constexpr const char* kJson = "application/json";

std::int64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_size : -1;
}

class Slot {
 public:
  explicit Slot(std::atomic<std::size_t>& used) : used_(used) {}
  ~Slot() { --used_; }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  std::atomic<std::size_t>& used_;
};

void answer(Response& res, int status, const std::string& text,
            const char* type = "text/plain; charset=utf-8") {
  res.status = status;
  res.set_content(text, type);
}

void answer(Response& res, const Error& error) {
  const int status = error.reason.starts_with("no-") ? 404 : 500;
  answer(res, status,
         fmt::format("{{\"status\":\"refused\",\"error\":{}}}",
                     wire::json_string(error.detail.empty() ? error.message
                                                            : error.message + "\n" + error.detail)),
         kJson);
}

// What a steering command says to the scheduler: its name there, and the arguments.
Result<std::pair<std::string, std::string>> steering(const nlohmann::json& asked) {
  const auto text = [&](const char* name) {
    const auto at = asked.find(name);
    return at != asked.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  const auto number = [&](const char* name) -> std::optional<std::uint64_t> {
    const auto at = asked.find(name);
    if (at == asked.end() || !at->is_number_unsigned()) return {};
    return at->get<std::uint64_t>();
  };
  const std::string command = text("command");
  if (command == "suspend" || command == "resume" || command == "quit" || command == "kill")
    return std::pair(command, std::string());
  if (command == "stop") return std::pair(std::string("end"), std::string());
  if (command == "retry" && !text("element").empty())
    return std::pair(command, wire::encode(wire::RetryArguments{text("element")}));
  if (command == "answer" && number("prompt"))
    return std::pair(command,
                     wire::encode(wire::AnswerArguments{*number("prompt"), text("choice")}));
  if (const auto n = number("number"); n && *n >= 1 && *n <= wire::kMostJobs) {
    const auto jobs = static_cast<std::uint32_t>(*n);
    if (command == "builders")
      return std::pair(std::string("limits"), wire::encode(wire::LimitsArguments{jobs, {}}));
    if (command == "fetchers")
      return std::pair(std::string("limits"), wire::encode(wire::LimitsArguments{{}, jobs}));
  }
  return fail("web", "bad-request", "That is no command, or lacks something");
}

class HttpServer final : public httplib::Server {
 public:
  // Who takes nothing is waited for no longer.
  void ending() {
    const std::lock_guard lock(mutex_);
    end_ = true;
    for (const int socket : open_) ::shutdown(socket, SHUT_RDWR);
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    (void)::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
    bool done = false;
    if (note(socket, true)) {
      BoundedStream stream(socket);
      bool closed = false;
      done = process_request(stream, true, closed, nullptr);
    }
    note(socket, false);
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
    return done;
  }
  // False: no more requests are taken.
  bool note(int socket, bool opened) {
    const std::lock_guard lock(mutex_);
    if (opened) {
      open_.insert(socket);
    } else {
      open_.erase(socket);
    }
    return !end_;
  }

  std::mutex mutex_;
  std::set<int> open_;
  bool end_ = false;
};

class Web final : public WebServer {
 public:
  Web(Hub& hub, Settings settings) : hub_(hub), settings_(std::move(settings)) {}

  Status listen() {
    http_.new_task_queue = [] { return new ConnectionThreads(kConnections); };
    http_.set_payload_max_length(kMostBody);
    http_.set_address_family(AF_INET);
    http_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      (void)::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    http_.set_default_headers({{"Content-Security-Policy", kWebPolicy},
                               {"X-Content-Type-Options", "nosniff"},
                               {"X-Frame-Options", "DENY"},
                               {"Referrer-Policy", "no-referrer"},
                               {"Cross-Origin-Resource-Policy", "same-origin"},
                               {"Cross-Origin-Opener-Policy", "same-origin"},
                               {"Cache-Control", "no-store"}});
    http_.set_pre_routing_handler(
        [this](const Request& req, Response& res) { return route(req, res); });
    http_.Post("/s/([a-z0-9-]+)/steer",
               [this](const Request& req, Response& res) { steer(req, res); });
    port_ = settings_.port != 0
                ? (http_.bind_to_port("127.0.0.1", settings_.port) ? settings_.port : -1)
                : http_.bind_to_any_port("127.0.0.1");
    if (port_ <= 0)
      return fail(
          "web", "no-port",
          settings_.port != 0
              ? fmt::format("Port {} of 127.0.0.1 can't be had: it may be in use", settings_.port)
              : std::string("There is no port to be had"));
    return {};
  }

  std::uint16_t port() const override { return static_cast<std::uint16_t>(port_); }
  void serve() override { http_.listen_after_bind(); }
  void stop() override {
    http_.ending();
    http_.stop();
  }

 private:
  using Handled = httplib::Server::HandlerResponse;

  std::string cookie_name() const { return fmt::format("sluice-web-{}", port_); }

  // All requests come here first; a POST's body is read only when this lets it pass.
  Handled route(const Request& req, Response& res) {
    const std::string host = req.get_header_value("Host");
    if (req.get_header_value_count("Host") != 1 || !is_loopback_host(host)) {
      answer(res, 421, "This is reached by 127.0.0.1 or localhost alone.\n");
    } else if (req.path.size() > kMostPath || req.has_header("Range")) {
      answer(res, 400, "That can't be asked for.\n");
    } else if (req.method != "GET" && req.method != "POST") {
      answer(res, 405, "GET and POST are understood.\n");
    } else if (req.method == "GET" && req.path == "/" && req.has_param("token")) {
      enter(req, res);
    } else if (!same_secret(cookie_value(req.get_header_value("Cookie"), cookie_name()),
                            settings_.cookie)) {
      answer(res, 403, "This page is opened by the address that `sluice web` has printed.\n");
    } else if (!is_own_fetch(req.get_header_value("Sec-Fetch-Site"))) {
      answer(res, 403, "Another page has asked for that.\n");
    } else if (req.method == "GET") {
      get(req, res);
    } else if (!is_own_origin(req.get_header_value("Origin"), host)) {
      answer(res, 403, "Another page has asked for that.\n");
    } else if (req.get_header_value("Content-Type") != kJson ||
               req.has_header("Content-Encoding") || req.has_header("Expect")) {
      answer(res, 415, "JSON is understood.\n");
    } else if (settings_.read_only) {
      answer(res, 403, "{\"status\":\"refused\",\"error\":\"This page only looks (--read-only)\"}",
             kJson);
    } else {
      return Handled::Unhandled;
    }
    return Handled::Handled;
  }

  // The token may come again, as when the address is opened in another browser.
  void enter(const Request& req, Response& res) {
    if (!same_secret(req.get_param_value("token"), settings_.token))
      return answer(res, 403,
                    "This address isn't right any more: `sluice web` prints the one that is.\n");
    res.set_header("Set-Cookie", fmt::format("{}={}; HttpOnly; SameSite=Strict; Path=/",
                                             cookie_name(), settings_.cookie));
    answer(res, 200, web_page(), "text/html; charset=utf-8");
  }

  void get(const Request& req, Response& res) {
    if (req.path == "/") return answer(res, 200, web_page(), "text/html; charset=utf-8");
    if (req.path == "/page.js")
      return answer(res, 200, page_script(), "text/javascript; charset=utf-8");
    if (req.path == "/page.css")
      return answer(res, 200, std::string(page_style()), "text/css; charset=utf-8");
    if (req.path == "/sessions")
      return answer(
          res, 200,
          fmt::format("{{\"readonly\":{},\"sessions\":{}}}", settings_.read_only, sessions_.json()),
          kJson);
    if (!req.path.starts_with("/s/")) return answer(res, 404, "There is no such page.\n");
    const std::size_t slash = req.path.find('/', 3);
    const auto paths =
        known_session(req.path.substr(3, slash == req.path.npos ? slash : slash - 3));
    if (!paths) return answer(res, paths.error());
    const std::string what = slash == req.path.npos ? "" : req.path.substr(slash + 1);
    if (what == "events") return events(req, res, *paths);
    if (what == "log") return log(req, res, *paths);
    if (what == "log.txt") return log_text(req, res, *paths);
    if (what == "digest" || what == "measured" || what == "why") {
      const auto json = what == "why"        ? why(*paths, req.get_param_value("element"))
                        : what == "measured" ? measured(*paths)
                                             : session_digest(*paths);
      return json ? answer(res, 200, *json, kJson) : answer(res, json.error());
    }
    answer(res, 404, "There is no such page.\n");
  }

  // A process each, which reads other sessions and the store: pages wait for one another.
  Result<std::string> why(const wire::SessionPaths& paths, const std::string& element) {
    if (element.empty()) return fail("web", "no-element", "An element is meant by its name");
    const std::unique_lock turn(why_, kPatience);
    if (!turn) return fail("web", "busy", "Others ask for reasons just now");
    return reasons_json(paths.id, element, kPatience, hub_.told_to_stop());
  }

  // One session at a time, and each state of it once, however many pages show it.
  Result<std::string> measured(const wire::SessionPaths& paths) {
    const std::lock_guard lock(measuring_);
    const std::string state =
        fmt::format("{} {} {}", paths.id, size_of(paths.record_log()), paths.lives());
    if (state != measured_state_) {
      measured_ = TRY(measured_json(paths));
      measured_state_ = state;
    }
    return measured_;
  }

  // An event stream, one piece after the other. `stream` has next(Write).
  template <typename Stream>
  void stream(Response& res, std::shared_ptr<Stream> stream) {
    if (++streams_ > kStreams) {
      --streams_;
      res.set_header("Retry-After", "5");
      return answer(res, 503, "Too many pages look at sessions at once.\n");
    }
    const auto slot = std::make_shared<Slot>(streams_);
    res.set_header("X-Accel-Buffering", "no");
    res.set_chunked_content_provider(
        "text/event-stream", [stream, slot](std::size_t, httplib::DataSink& sink) {
          bool fine = true;
          const bool more = stream->next([&](std::string_view piece) {
            // httplib copies what it is given.
            for (; fine && !piece.empty(); piece.remove_prefix(std::min(piece.size(), kSlice)))
              fine = sink.write(piece.data(), std::min(piece.size(), kSlice));
            return fine;
          });
          if (!fine) return false;
          if (!more) sink.done();
          return true;
        });
  }

  void events(const Request& req, Response& res, const wire::SessionPaths& paths) {
    std::uint64_t from = 1;
    for (const std::string& text :
         {req.get_param_value("from"), req.get_header_value("Last-Event-ID")}) {
      if (const auto cursor = stream_position(text)) from = *cursor;
    }
    stream(res, std::make_shared<RecordStream>(hub_.watch(paths), from));
  }

  Result<FoundJob> job_of(const Request& req, const wire::SessionPaths& paths) {
    const auto id = stream_position(req.get_param_value("job"));
    const auto attempt = stream_position(req.get_param_value("attempt"));
    if (!id) return fail("web", "no-job", "A job is meant by its number");
    return find_job(paths, *id, static_cast<std::uint32_t>(attempt.value_or(1)));
  }

  void log(const Request& req, Response& res, const wire::SessionPaths& paths) {
    auto found = job_of(req, paths);
    if (!found) return answer(res, found.error());
    std::uint64_t from = 0;
    for (const std::string& text :
         {req.get_param_value("from"), req.get_header_value("Last-Event-ID")}) {
      if (const auto byte = stream_position(text)) from = *byte;
    }
    stream(res, std::make_shared<LogStream>(hub_, hub_.watch(paths), std::move(*found), from));
  }

  void log_text(const Request& req, Response& res, const wire::SessionPaths& paths) {
    auto found = job_of(req, paths);
    if (!found) return answer(res, found.error());
    auto file = open_log(found->job.log_file);
    if (!file) return answer(res, 404, "The log is not on this machine, or not any more.\n");
    const auto fd = std::make_shared<UniqueFd>(std::move(*file));
    res.set_chunked_content_provider("text/plain; charset=utf-8", [fd](std::size_t offset,
                                                                       httplib::DataSink& sink) {
      std::string piece(std::size_t{64} << 10, '\0');
      const ssize_t n = ::pread(fd->get(), piece.data(), piece.size(), static_cast<off_t>(offset));
      if (n < 0) return false;
      if (n == 0) {
        sink.done();
        return true;
      }
      return static_cast<bool>(sink.write(piece.data(), static_cast<std::size_t>(n)));
    });
  }

  void steer(const Request& req, Response& res) {
    const auto paths = known_session(req.matches[1]);
    if (!paths) return answer(res, paths.error());
    const auto asked = parse_json(req.body);
    const auto command =
        asked.is_object() ? steering(asked) : fail("web", "bad-request", "That is no JSON map");
    if (!command) return answer(res, 400, command.error().message + "\n");
    const wire::Reply reply = hub_.ask(*paths, "scheduler", command->first, command->second);
    nlohmann::json out = {{"status", reply.status}};
    if (reply.error) out["error"] = reply.error->message;
    answer(res, 200, out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), kJson);
  }

  Hub& hub_;
  const Settings settings_;
  int port_ = -1;
  std::atomic<std::size_t> streams_ = 0;
  SessionList sessions_;
  std::timed_mutex why_;
  std::mutex measuring_;  // of what follows
  std::string measured_state_, measured_;
  HttpServer http_;
};

}  // namespace

Result<std::unique_ptr<WebServer>> WebServer::create(Hub& hub, Settings settings) {
  auto web = std::make_unique<Web>(hub, std::move(settings));
  CHECK(web->listen());
  return web;
}

}  // namespace sluice::renderer
