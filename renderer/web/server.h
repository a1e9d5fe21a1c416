// What sluice-web says to browsers. cpp-httplib parses requests and writes answers; connections are
// ours, so that everything of them has a limit: their number, how long a request may take to come
// and how large it may be, how long a browser may take nothing.
//
//   GET  /                            the page; with ?token= the cookie is set
//   GET  /page.js /page.css
//   GET  /sessions                    JSON (sessions.h)
//   GET  /s/ID/events[?from=CURSOR]   server-sent: lists of events (digest.h), with the next
//                                     record's cursor as their id; `status`, `caught` (all that
//                                     there is now was sent), `over`
//   GET  /s/ID/digest                 JSON: the events of all of a session (session_digest.h)
//   GET  /s/ID/measured               JSON (measured.h)
//   GET  /s/ID/why?element=NAME       JSON (reasons.h); one at a time, each for 20 s at most
//   GET  /s/ID/log?job=N&attempt=N[&from=BYTE]   server-sent: pieces of a job's log, JSON strings
//                                     with the next byte's place as their id; `over`
//   GET  /s/ID/log.txt?job=N&attempt=N           what there is of it, as a text
//   POST /s/ID/steer                  JSON: {command, element, prompt, choice, number}
//
// A thread for each connection. An event stream reads the session's file itself, so that a browser
// that stops keeps nothing but a place in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "renderer/web/hub.h"

namespace sluice::renderer {

class WebServer {
 public:
  struct Settings {
    std::uint16_t port = 0;  // 0: the system chooses
    bool read_only = false;
    std::string token;   // in the address that is printed
    std::string cookie;  // what it is exchanged for
  };
  // Connections at once; of these, event streams.
  static constexpr std::size_t kConnections = 64, kStreams = 48;

  // Listens on 127.0.0.1. Error "web"/"no-port". `hub` must outlive it.
  static Result<std::unique_ptr<WebServer>> create(Hub& hub, Settings settings);
  virtual ~WebServer() = default;
  virtual std::uint16_t port() const = 0;
  // Serves until stop(), which any thread may call.
  virtual void serve() = 0;
  virtual void stop() = 0;
};

}  // namespace sluice::renderer
