// A style of rendering: takes records (and live events) as they come from the session and writes to
// a sink. No sockets, no signals, no clock of its own.
//
// How it is driven (service.cc, and the tests):
//   record(), live(), resize() hand over what has happened;
//   poll() writes what is due and says when it wants to be called again;
//   while full(), nothing more is handed over; blocked() asks for a call of
//   poll() when the sink can be written again;
//   finish(), then poll() until done().
// One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "renderer/calm_lines.h"
#include "renderer/lines.h"
#include "renderer/output.h"

namespace sluice::renderer {

// The size of a terminal.
struct Size {
  unsigned columns = 80;
  unsigned rows = 24;
};

// What of a record matters to the one who waits for the end.
struct Seen {
  bool session_ended = false;
  std::uint32_t run_finished = 0;  // number of the run, 0: none
  bool prompt = false;             // an element that failed asks what to do
};

class Renderer {
 public:
  explicit Renderer(Sink& sink) : output_(sink) {}
  virtual ~Renderer() = default;
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  // Takes one packed event from the log. What can't be decoded is shown as such.
  virtual Seen record(std::string_view packed) = 0;
  // Takes one that came before those that are to be shown: what follows is shown as if it had been.
  virtual void recall(std::string_view packed) = 0;
  // Whether recall() does anything.
  virtual bool recalls() const { return true; }
  // Takes one packed live event.
  virtual void live(std::string_view /*packed*/) {}
  // Takes rows, parted by tabs, for the end of the status area; a "!" before them says that they
  // must be seen, and isn't shown.
  virtual void hint(std::string_view /*rows*/) {}
  // The topic of live events that are wanted now; "": none.
  virtual std::string topic() const { return {}; }
  // Whether there is a status area, which resize() and what follows here are for.
  virtual bool draws() const { return false; }
  virtual void resize(Size) {}
  // leave_screen() comes before the process is stopped by the terminal: the status area goes, if
  // the terminal takes that. enter_screen() comes when it has gone on: what the screen shows is
  // somebody else's by now.
  virtual void leave_screen() {}
  virtual void enter_screen() {}
  // While it is hidden there is no area, and lines come as ever: somebody else is in front on the
  // terminal.
  virtual void hide(bool /*hidden*/) {}

  // Writes what is due. Returns the time until it wants to be called though nothing has happened;
  // none: never. An error of the sink is final.
  virtual Result<std::optional<Duration>> poll() = 0;
  virtual bool full() const { return output_.pending() >= kFull; }
  bool blocked() const { return !output_.idle(); }
  // Everything that was handed over has been written.
  virtual bool drained() const { return output_.idle(); }
  // Says that nothing more will come: the terminal is left as it was found, on a line of its own.
  virtual void finish() {}
  virtual bool done() const { return output_.idle(); }

  std::uint64_t writes() const { return output_.writes(); }

 protected:
  static constexpr std::size_t kFull = 1u << 20;
  Output output_;
};

// BuildStream's lines, one after the other. After `silence` one says what runs (heartbeat.h); zero:
// none does.
std::unique_ptr<Renderer> make_plain(Sink& sink, const Clock& clock, Lines lines,
                                     Duration silence = {});
// One record on a line (wire/record_json.h).
std::unique_ptr<Renderer> make_json(Sink& sink);

struct TtySettings {
  Size size;
  bool colors = true;
  bool progress = false;  // the terminal shows OSC 9;4
};
// Lines that scroll, with a status area below them (tty.cc, frames.h).
std::unique_ptr<Renderer> make_tty(Sink& sink, const Clock& clock, Lines lines,
                                   TtySettings settings);

// Few lines, with a status area below them (calm.cc, frames.h).
std::unique_ptr<Renderer> make_calm(Sink& sink, const Clock& clock, CalmSettings lines,
                                    TtySettings settings);
// The same lines without an area.
std::unique_ptr<Renderer> make_calm_lines(Sink& sink, const Clock& clock, CalmSettings lines,
                                          Duration silence);

// What of an event the one who waits for the end must know (Seen).
Seen seen(const wire::Event& event);

// The line for a record that can't be decoded.
std::string malformed_line(const Error& error);

}  // namespace sluice::renderer
